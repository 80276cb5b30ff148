"""
The pages that replay: one request as it was or edited, or all that a query finds.

Writes are plain forms, so that they work without script; `server.LocalOnly` refuses those of
other sites' pages. Secrets sign, and are on no page.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from hookloop.clock import Clock
from hookloop.errors import ConfigError, StoreError

from .captured import Captured
from .page_templates import page_templates
from .query import Query, parse_query
from .replay_plan import RATE, SHOTS_MAX, Edits, ReplayOrder, Shot, plan
from .request_form import FORM_BYTES_MAX, RequestForm, edits_of, form_fields, request_form
from .store import CaptureStore
from .webhook_signature import KnownSecret, can_sign

__all__ = ["Replays", "replay_pages"]

BYTES_MAX = 256 * 1024 * 1024  # of bodies that wait to be sent
PAGE_ROWS = 500  # of the store, while a query is counted
_LOG = logging.getLogger("hookloop.inspector")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replays:
    """What the pages replay with."""

    store: CaptureStore
    clock: Clock
    send: Callable[[Sequence[Shot], str | None], Awaitable[Sequence[Captured]]]
    """
    Sends, to the tunnel's upstream or to the one named, and keeps each as an exchange.

    Raises `ConfigError` where there is no such upstream, `StoreError` where nothing can be kept.
    """
    secrets: Sequence[KnownSecret] = field(default=(), repr=False)


def replay_pages(replays: Replays) -> list[BaseRoute]:
    """Return the routes, to be put before those of the other pages."""
    pages = _ReplayPages(replays)
    return [
        Route("/replay", pages.confirm, methods=["GET"]),
        Route("/replay", pages.replay_found, methods=["POST"]),
        Route("/requests/{id}/replay", pages.replay, methods=["POST"]),
        Route("/requests/{id}/edit", pages.edit, methods=["GET"]),
        Route("/requests/{id}/edit", pages.replay_edited, methods=["POST"]),
    ]


class _ReplayPages:
    def __init__(self, replays: Replays) -> None:
        self._it = replays
        self._store = replays.store
        self._templates = page_templates()
        self._running: set[asyncio.Task[None]] = set()

    # --- one --------------------------------------------------------------------------------

    async def replay(self, request: Request) -> Response:
        """Send one as it was captured, signed afresh where the form says so."""
        return await self._replay_one(request, is_edited=False)

    async def replay_edited(self, request: Request) -> Response:
        return await self._replay_one(request, is_edited=True)

    async def edit(self, request: Request) -> Response:
        kept = await self._kept(request)
        if kept is None:
            return await self._missing()
        return await self._edit_page(kept, request_form(kept))

    async def _replay_one(self, request: Request, *, is_edited: bool) -> Response:
        kept = await self._kept(request)
        if kept is None:
            return await self._missing()
        fields: dict[str, str] = {}
        try:
            fields = await _fields(request)
            order = ReplayOrder(
                edits=edits_of(kept, fields) if is_edited else Edits(),
                resign="resign" in fields,
                upstream=(fields.get("upstream", "").strip() or None) if is_edited else None,
            )
            shots = self._plan(kept, order, self._it.clock.wall())
            landed = await self._it.send(shots, order.upstream)
        except (ConfigError, StoreError) as error:
            return await self._edit_page(kept, _as_typed(kept, fields), fields, str(error))
        return RedirectResponse(f"/requests/{landed[0].id}", 303)

    async def _edit_page(
        self,
        kept: Captured,
        form: RequestForm,
        fields: Mapping[str, str] | None = None,
        error: str = "",
    ) -> Response:
        can = can_sign(kept.request, self._it.secrets)
        return await self._page(
            "edit.html",
            400 if error else 200,
            row=kept.summary(),
            form=form,
            error=error,
            upstream=(fields or {}).get("upstream", ""),
            can_sign=can,
            # An edited body has no other signature that holds.
            is_resigned=can if fields is None else "resign" in fields,
        )

    # --- all of a query ---------------------------------------------------------------------

    async def confirm(self, request: Request) -> Response:
        """Say how many there are, before any is sent."""
        text = request.query_params.get("q", "")
        newest = await asyncio.to_thread(self._store.newest)
        return await self._confirm_page(text, newest)

    async def replay_found(self, request: Request) -> Response:
        """Begin to send what was confirmed, and go to where it lands."""
        text, newest = "", 0
        try:
            fields = await _fields(request)
            text = fields.get("q", "")
            newest = _whole(fields.get("newest", ""))
            is_resigned = "resign" in fields
            shots = await asyncio.to_thread(self._planned, text, newest, is_resigned)
        except (ConfigError, StoreError) as error:
            return await self._confirm_page(text, newest, str(error))
        task = asyncio.create_task(self._send_all(shots))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return RedirectResponse("/?" + urlencode({"q": "is:replay"}), 303)

    async def _send_all(self, shots: Sequence[Shot]) -> None:
        try:
            await self._it.send(shots, None)
        except Exception:
            _LOG.exception("replays ended early")

    async def _confirm_page(self, text: str, newest: int, error: str = "") -> Response:
        count = 0
        try:
            count = len(await asyncio.to_thread(self._found, text, newest))
        except (ConfigError, StoreError) as cause:
            error = error or str(cause)
        return await self._page(
            "replay.html",
            400 if error else 200,
            q=text,
            newest=newest,
            count=count,
            most=SHOTS_MAX,
            rate=RATE,
            error=error,
            can_sign=bool(self._it.secrets),
        )

    def _planned(self, text: str, newest: int, is_resigned: bool) -> list[Shot]:
        ids = self._found(text, newest)
        if len(ids) > SHOTS_MAX:
            raise ConfigError(f"more than {SHOTS_MAX} are found: narrow the search")
        now = self._it.clock.wall()
        shots: list[Shot] = []
        size = 0
        for kept in filter(None, (self._store.get(id_) for id_ in reversed(ids))):
            size += len(kept.request_body.data)
            if size > BYTES_MAX:
                raise ConfigError(f"their bodies are over {BYTES_MAX} bytes: narrow the search")
            after = len(shots) / RATE
            # One that nobody signed is found beside webhooks, and is no reason to send none.
            signs = is_resigned and can_sign(kept.request, self._it.secrets)
            (shot,) = self._plan(kept, ReplayOrder(resign=signs), now + after)
            shots.append(shot._replace(after=after))
        if not shots:
            raise ConfigError("nothing is found that could be sent")
        return shots

    def _found(self, text: str, newest: int) -> list[str]:
        """Return the ids of what was there up to *newest*, the newest first: one over the bound."""
        query: Query = parse_query(text, now=self._it.clock.wall())
        ids: list[str] = []
        before: int | None = newest + 1  # what lands meanwhile was not confirmed
        while before is not None and len(ids) <= SHOTS_MAX:
            page = self._store.find(query, limit=PAGE_ROWS, before=before)
            ids += [summary.id for summary in page.items]
            before = page.before
        return ids[: SHOTS_MAX + 1]

    # --- inside -----------------------------------------------------------------------------

    def _plan(self, kept: Captured, order: ReplayOrder, now: float) -> tuple[Shot, ...]:
        return plan([kept], order, self._it.secrets, now=now, random=SystemRandom().random)

    async def _kept(self, request: Request) -> Captured | None:
        return await asyncio.to_thread(self._store.get, request.path_params["id"])

    async def _missing(self) -> Response:
        return await self._page("missing.html", 404)

    async def _page(self, name: str, status: int = 200, **values: Any) -> Response:
        template = self._templates.get_template(name)
        return HTMLResponse(await asyncio.to_thread(template.render, **values), status)


def _as_typed(kept: Captured, fields: Mapping[str, str]) -> RequestForm:
    """Return what a person has typed, who wants to put right only what is wrong in it."""
    was = request_form(kept)
    return RequestForm(
        fields.get("method", was.method),
        fields.get("target", was.target),
        fields.get("headers", was.headers),
        None if was.body is None else fields.get("body", was.body),
        was.body_hint,
    )


async def _fields(request: Request) -> dict[str, str]:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > FORM_BYTES_MAX:
            raise ConfigError(f"the form is over {FORM_BYTES_MAX} bytes: use hookloop requests")
    return form_fields(bytes(data))


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise ConfigError("it was not confirmed how many: do it from the page")
    return int(text)
