"""
The durable inbox: a webhook is answered 2xx once it is on the disk, and handled afterwards.

Read `inbox` first: it is the door. `entry` is an event as it is kept; `backend` is where it is
kept, and the one seam to write for another database; `handler_target` runs one handler of
one entry. Each handler of an event is owed it by itself: the ledger's deliveries are the record
of which handler has run. `admin` is what a person does with entries.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import Backend, Transactions
    from .django_inbox import DjangoInbox
    from .inbox import Inbox, InboxSettings
    from .sqlalchemy_inbox import SQLAlchemyInbox

__all__ = ["Backend", "DjangoInbox", "Inbox", "InboxSettings", "SQLAlchemyInbox", "Transactions"]

_FILES = {
    "Backend": "backend",
    "DjangoInbox": "django_inbox",
    "Inbox": "inbox",
    "InboxSettings": "inbox",
    "SQLAlchemyInbox": "sqlalchemy_inbox",
    "Transactions": "backend",
}


def __getattr__(name: str) -> Any:
    # What not every process needs is imported when it is asked for (PEP 562).
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_FILES[name]}", __name__), name)
