"""Entries and deliveries to look at: the ledger alone writes them."""

from typing import Any, ClassVar

from django.db import models

__all__ = ["Delivery", "Message"]


class Message(models.Model):
    """An event as it was received."""

    source: Any = models.TextField()
    type: Any = models.TextField()
    key: Any = models.TextField(null=True)
    received_at: Any = models.FloatField()
    head: Any = models.BinaryField()
    body: Any = models.BinaryField()

    class Meta:
        db_table = "hookloop_message"
        verbose_name = "entry"
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return f"{self.type} {self.key}"


class Delivery(models.Model):
    """One handler that an event is owed to."""

    message: Any = models.ForeignKey(Message, models.DO_NOTHING, db_column="message")
    target: Any = models.TextField()
    order_key: Any = models.TextField(null=True)
    state: Any = models.TextField()
    due_at: Any = models.FloatField()
    attempts: Any = models.BigIntegerField()
    failures: Any = models.BigIntegerField()
    crashes: Any = models.BigIntegerField()
    claimed_at: Any = models.FloatField(null=True)
    settled_at: Any = models.FloatField(null=True)
    detail: Any = models.TextField()
    rank: Any = models.FloatField(default=0)

    class Meta:
        db_table = "hookloop_delivery"
        verbose_name_plural = "deliveries"
        ordering: ClassVar[list[str]] = ["-id"]

    def __str__(self) -> str:
        return f"{self.target} ({self.state})"
