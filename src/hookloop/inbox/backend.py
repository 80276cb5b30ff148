"""
Where an inbox keeps its entries: the seam to write for another database.

A URL names one (`backend_for`); `Inbox` takes any object that keeps the protocol.
"""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from hookloop.errors import ConfigError
from hookloop.ledger.store import Lease, Store
from hookloop.ledger.your_transaction import LeaseLostError as LeaseLost

__all__ = [
    "Backend",
    "LeaseLost",
    "MemoryBackend",
    "PostgresBackend",
    "SqliteBackend",
    "Transactions",
    "backend_for",
]


class Transactions(Protocol):
    """
    Transactions of the store's own database, in which a handler's rows and our word are one.

    Both give what the handler is handed as ``tx``, in a transaction that has begun. When the
    block ends well, the delivery is settled as done by the fence of *lease*, in that very
    transaction, and it is committed; where the lease is lost it is rolled back, and `LeaseLost`
    raised. When the block raises, it is rolled back, nothing is settled, and the error goes on.
    """

    def begin(self, lease: Lease) -> AbstractContextManager[Any]:
        """For a sync handler: entered, used and left in one thread, which is not the loop's."""
        ...

    def abegin(self, lease: Lease) -> AbstractAsyncContextManager[Any]:
        """For an async handler: on the loop the store was opened on."""
        ...


class Backend(Protocol):
    """How to open a store, and what is special about it."""

    name: str
    """For messages: never with a password in it."""
    any_loop: bool
    """Whether the store may be called from any event loop, not only from its own."""

    async def open(self) -> Store:
        """
        Open the store, on the loop it is to live on.

        Raises `ConfigError` for what cannot work, `StoreError` for what may work later: it is
        then asked again at the next request.
        """
        ...

    def transactions(self, store: Store) -> Transactions | None:
        """Return the transactions a handler may ask for; None where there are none."""
        ...


class MemoryBackend:
    """For tests: what is accepted is lost with the process."""

    name = "memory:"
    any_loop = False

    async def open(self) -> Store:
        from hookloop.ledger.memory import MemoryStore

        return MemoryStore()

    def transactions(self, _store: Store) -> Transactions | None:
        return None


class SqliteBackend:
    """A SQLite file on a disk of this machine."""

    any_loop = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"sqlite:///{path}"

    async def open(self) -> Store:
        from hookloop.ledger.sqlite import SqliteStore

        return SqliteStore(self.path)

    def transactions(self, _store: Store) -> Transactions | None:
        from .transactions import SqliteTransactions

        return SqliteTransactions(self.path)


class PostgresBackend:
    """Tables of a Postgres database, for several machines; see `hookloop.ledger.postgres`."""

    any_loop = False

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self.name = f"postgresql://{parts.hostname or ''}{parts.path}"

    async def open(self) -> Store:
        from hookloop.ledger.postgres import PostgresStore

        return await PostgresStore.open(self.url)

    def transactions(self, store: Store) -> Transactions | None:
        from hookloop.ledger.postgres import PostgresStore

        from .transactions import PostgresTransactions

        return PostgresTransactions(self.url, store) if isinstance(store, PostgresStore) else None


def backend_for(url: str) -> Backend:
    """
    Return the backend *url* names.

    ``sqlite:///hooks.db`` is a file beside the process, ``sqlite:////var/lib/hooks.db`` one by its
    full path, ``postgresql://...`` a database, ``memory:`` nothing that lasts. Raises
    `ConfigError` for anything else.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "memory" and not rest:
        return MemoryBackend()
    if scheme == "sqlite":
        if not rest.startswith("///") or len(rest) == len("///"):
            raise ConfigError(
                f"{url!r} names no file: sqlite:///hooks.db is one beside the process, "
                "sqlite:////var/lib/hooks.db one by its full path"
            )
        return SqliteBackend(Path(rest.removeprefix("///")))
    if scheme in ("postgresql", "postgres"):
        return PostgresBackend(url)
    raise ConfigError(
        f"an inbox cannot be kept at {scheme}:...: use sqlite:///hooks.db or postgresql://..."
    )
