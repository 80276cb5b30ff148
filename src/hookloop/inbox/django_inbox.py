"""
An inbox in Django's own database, Postgres or SQLite, by Django's own connection.

    hooks = Hooks(secrets="whsec_...", inbox=DjangoInbox())
"""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

from hookloop.errors import ConfigError
from hookloop.ledger.connection_store import ConnectionStore
from hookloop.ledger.delivery import Done
from hookloop.ledger.store import Lease, Store
from hookloop.ledger.your_transaction import begin_writing, settle

from .backend import Transactions

__all__ = ["DjangoInbox"]


class DjangoInbox:
    """
    A backend for `Inbox`: needs ``hookloop.inbox.django`` in ``INSTALLED_APPS``, and migrated.

    A handler that asks for ``tx`` runs inside `transaction.atomic` of the database *using*, and
    uses the ORM as ever; it must be sync, as Django's transactions are.
    """

    any_loop = False

    def __init__(self, using: str = "default") -> None:
        self._using = using
        self.name = f"django:{using}"

    async def open(self) -> Store:
        return await ConnectionStore.open(name=self.name, begin=self._begin)

    def transactions(self, _store: Store) -> Transactions:
        return _AtomicTransactions(self._begin)

    @contextmanager
    def _begin(self) -> Iterator[Any]:
        from django.db import connections, transaction

        connection = connections[self._using]
        # A thread of ours has no request that would do this for it.
        connection.close_if_unusable_or_obsolete()
        with transaction.atomic(using=self._using):
            yield connection


class _AtomicTransactions:
    """Transactions of Django."""

    def __init__(self, begin: Any) -> None:
        self._begin = begin

    @contextmanager
    def begin(self, lease: Lease) -> Iterator[Any]:
        with self._begin() as connection:
            begin_writing(connection)
            yield connection
            settle(connection, lease.id, Done())

    def abegin(self, lease: Lease) -> AbstractAsyncContextManager[Any]:
        del lease
        raise ConfigError("Django's transactions are sync: a handler that asks for tx must be, too")
