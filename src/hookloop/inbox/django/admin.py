"""What a person sees and may do: search, and run again what was settled."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest

from hookloop.ledger.sql_steps import SqlSteps, Steps
from hookloop.ledger.store import Selection
from hookloop.ledger.your_transaction import begin_writing, run

from .models import Delivery

__all__ = ["DeliveryAdmin"]


@admin.register(Delivery)
class DeliveryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic when Django runs it
    """Deliveries, newest first; nothing is changed by hand."""

    list_display = ("message", "target", "state", "attempts", "detail")
    list_filter = ("state", "target")
    list_select_related = ("message",)
    search_fields = ("message__key", "message__type", "message__source", "target")
    actions = ("replay",)

    @admin.action(description="Run again what is done or dead")
    def replay(self, request: HttpRequest, queryset: Any) -> None:
        """Owe the chosen ones anew, in one transaction."""
        from django.db import connections

        count = 0
        chosen = list(queryset.values_list("message_id", "target"))  # read before there is a lock
        with transaction.atomic(using=queryset.db):
            begin_writing(connections[queryset.db])
            for message, target in chosen:
                where = Selection(message=message, target=target)
                count += len(run(connections[queryset.db], partial(_replay, where)))
        self.message_user(request, f"{count} will run again")

    def has_add_permission(self, request: HttpRequest) -> bool:
        del request
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        del request, obj
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        del request, obj
        return tuple(field.name for field in self.opts.fields)


def _replay(where: Selection, steps: SqlSteps) -> Steps[list[str]]:
    return steps.replay(where, None, per_second=None)
