"""What the user's database holds for us: posted messages, until they are moved, and endpoints."""

import json
from collections.abc import Sequence

from .database import Database
from .endpoint import Endpoint, Secret
from .message import Posted

__all__ = ["DELETED", "POST", "TAKE_MAX", "Book"]

POST = (
    "INSERT INTO hookloop_outbox (id, type, account, order_key, body) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO NOTHING"
)

DELETED = "it was deleted"

TAKE_MAX = 256
"""Messages of one move: their bodies are in memory together."""

_POSTED = f"""
    SELECT number, id, type, account, order_key, body FROM hookloop_outbox
    ORDER BY number LIMIT {TAKE_MAX}
"""  # noqa: S608  # a constant
_FORGET = "DELETE FROM hookloop_outbox WHERE number = ?"
_ENDPOINTS = """
    SELECT id, url, secrets, account, enabled_events, disabled_at, disabled_reason, failing_since
    FROM hookloop_endpoint ORDER BY id
"""
_KEEP = """
    INSERT INTO hookloop_endpoint
        (id, url, secrets, account, enabled_events, disabled_reason) VALUES (?, ?, ?, ?, ?, '')
    ON CONFLICT (id) DO UPDATE SET url = excluded.url, secrets = excluded.secrets,
        enabled_events = excluded.enabled_events
"""
_REMOVE = """
    UPDATE hookloop_endpoint SET disabled_at = ?, disabled_reason = ?, secrets = '[]' WHERE id = ?
"""
_DISABLE = """
    UPDATE hookloop_endpoint SET disabled_at = ?, disabled_reason = ?
    WHERE id = ? AND disabled_at IS NULL
"""
_ENABLE = """
    UPDATE hookloop_endpoint SET disabled_at = NULL, disabled_reason = '', failing_since = NULL
    WHERE id = ? AND disabled_reason <> ?
"""
_FAILING = """
    UPDATE hookloop_endpoint SET failing_since = ? WHERE id = ? AND failing_since IS NULL
"""
_WELL = "UPDATE hookloop_endpoint SET failing_since = NULL WHERE id = ?"


class Book:
    """The statements; each method is one transaction of *database*."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def posted(self) -> list[Posted]:
        """Return the oldest messages that are committed and not moved."""
        [rows] = await self._database.run((_POSTED, ()))
        return [
            Posted(number, id_, type_, account, order_key, bytes(body))
            for number, id_, type_, account, order_key, body in rows
        ]

    async def forget(self, moved: Sequence[Posted]) -> None:
        """Delete what the ledger has now."""
        await self._database.run(*((_FORGET, (post.number,)) for post in moved))

    async def endpoints(self) -> list[Endpoint]:
        """Return all of them, the deleted ones too."""
        [rows] = await self._database.run((_ENDPOINTS, ()))
        return [
            Endpoint(
                id=id_,
                url=url,
                secrets=tuple(Secret(value, until) for value, until in json.loads(secrets)),
                account=account,
                enabled_events=tuple(json.loads(enabled)),
                disabled_at=disabled_at,
                disabled_reason=reason,
                failing_since=failing,
            )
            for id_, url, secrets, account, enabled, disabled_at, reason, failing in rows
        ]

    async def keep(self, endpoint: Endpoint) -> None:
        """Write what a person chooses of *endpoint*; a new one is added."""
        values = (
            endpoint.id,
            endpoint.url,
            json.dumps([[secret.value, secret.until] for secret in endpoint.secrets]),
            endpoint.account,
            json.dumps(endpoint.enabled_events),
        )
        await self._database.run((_KEEP, values))

    async def remove(self, endpoint: str, *, at: float) -> None:
        """Disable it for good; its row stays, without its secrets, to settle what it is owed."""
        await self._database.run((_REMOVE, (at, DELETED, endpoint)))

    async def disable(self, endpoint: str, *, at: float, reason: str) -> None:
        """The first reason stays."""
        await self._database.run((_DISABLE, (at, reason, endpoint)))

    async def enable(self, endpoint: str) -> None:
        await self._database.run((_ENABLE, (endpoint, DELETED)))

    async def failing(self, endpoint: str, *, since: float) -> None:
        """Of several failures the first one counts."""
        await self._database.run((_FAILING, (since, endpoint)))

    async def well(self, endpoint: str) -> None:
        await self._database.run((_WELL, (endpoint,)))
