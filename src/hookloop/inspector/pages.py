"""
The inspector's pages. Each is made in a thread of its own, so that traffic never waits for one.

Whatever was captured reaches a page as text alone: the templates escape all they are given, and
no body is served but as a download or as a picture that cannot run anything.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from hookloop.clock import Clock
from hookloop.errors import ConfigError, StoreError
from hookloop.exchange import RequestHead
from hookloop.meter import Reading

from . import wording
from .body_text import content_type
from .body_view import IMAGES, body_view
from .captured import Captured, Summary
from .difference import differences
from .page_templates import WEB, page_templates
from .query import EVERYTHING, FIELDS, Query, parse_query
from .reading import reading
from .store import CaptureStore
from .traffic_chart import BIN_SECONDS, BINS, Bin, bins, polyline

__all__ = ["Inspected", "TunnelShown", "inspector_pages"]

PAGE_ROWS = 100
ATTEMPTS_MAX = 50  # of one event, and replays of one exchange, beside it
LIVE_SECONDS = 2.0  # another process may write to the same store, of which nobody tells us


@dataclass(frozen=True, slots=True)
class TunnelShown:
    """A tunnel on the status page."""

    label: str
    url: str
    upstream: str
    kind: str = "http"
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What the pages show; each call must return at once."""

    store: CaptureStore
    clock: Clock
    dropped: Callable[[], int] = lambda: 0
    tunnels: Callable[[], Sequence[TunnelShown]] = tuple
    reading: Callable[[], Reading | None] = lambda: None
    latency_seconds: Callable[[], float | None] = lambda: None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Signing secrets by label, which the doctor tries; no page shows one."""
    has_replay: bool = False
    """Somebody has mounted the routes that replay."""
    can_sign: Callable[[RequestHead], bool] = lambda _: False
    """Whether a replay of the request could be signed afresh."""


def inspector_pages(inspected: Inspected) -> list[BaseRoute]:
    """Return the routes, to be put behind `server.LocalOnly`."""
    pages = _Pages(inspected)
    return [
        Route("/", pages.listing),
        Route("/inspect/http", lambda _: RedirectResponse("/")),
        Route("/events", pages.events),
        Route("/status", pages.status),
        Route("/diff", pages.diff),
        Route("/requests", pages.clear, methods=["POST"]),
        Route("/requests/{id}", pages.detail),
        Route("/requests/{id}/delete", pages.delete, methods=["POST"]),
        Route("/requests/{id}/{side}/body", pages.body),
        Mount("/static", StaticFiles(directory=WEB / "static")),
    ]


class _Pages:
    def __init__(self, inspected: Inspected) -> None:
        self._it = inspected
        self._store = inspected.store
        self._templates = page_templates()

    # --- the list ---------------------------------------------------------------------------

    async def listing(self, request: Request) -> Response:
        text, before = request.query_params.get("q", ""), request.query_params.get("before", "")
        return await self._page(lambda: self._listing(text, int(before or 0) or None))

    def _listing(self, text: str, before: int | None) -> str:
        query, error = self._query(text)
        page = self._store.find(query, limit=PAGE_ROWS, before=before)
        older = urlencode({"q": text, "before": page.before}) if page.before else ""
        return self._render(
            "list.html",
            rows=page.items,
            q=text,
            error=error,
            older=older,
            is_live=before is None,
            is_empty=not page.items and self._store.newest() == 0,
            newest=self._store.newest(),
            fields=FIELDS,
            tunnels=self._it.tunnels(),
            replay_all="" if error or not self._it.has_replay else urlencode({"q": text}),
        )

    async def events(self, request: Request) -> Response:
        """Send each new line of the list, newest last, until the page is left."""
        text = request.query_params.get("q", "")
        after = request.headers.get("last-event-id") or request.query_params.get("after", "")
        query, _ = self._query(text)
        start = int(after) if after.isdecimal() else await asyncio.to_thread(self._store.newest)
        return StreamingResponse(
            self._events(query, start),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    async def _events(self, query: Query, after: int) -> AsyncIterator[str]:
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        leave = self._store.listen(lambda: _wake(loop, changed))
        try:
            yield "retry: 1000\n\n"
            while True:
                changed.clear()
                newest, html = await asyncio.to_thread(self._rows_after, query, after)
                if newest > after:
                    after = newest
                    lines = "".join(f"data: {line}\n" for line in html.splitlines())
                    yield f"id: {after}\nevent: rows\n{lines or 'data:'}\n\n"
                else:
                    yield ": here\n\n"  # a page that is gone is noticed by it
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), LIVE_SECONDS)
        finally:
            leave()

    def _rows_after(self, query: Query, after: int) -> tuple[int, str]:
        newest = self._store.newest()
        if newest <= after:
            return newest, ""
        page = self._store.find(query, limit=PAGE_ROWS, after=after)
        return newest, self._render("rows.html", rows=page.items) if page.items else ""

    # --- one exchange -----------------------------------------------------------------------

    async def detail(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        return await self._page(lambda: self._detail(id_))

    def _detail(self, id_: str) -> str | None:
        one = self._store.get(id_)
        if one is None:
            return None
        event_id = one.webhook.event_id if one.webhook is not None else ""
        attempts = self._found(f'id:"{event_id}"') if event_id else ()
        tunnel = next((t for t in self._it.tunnels() if t.kind == "http"), None)
        base = tunnel.url if tunnel is not None else "http://127.0.0.1:3000"
        answer = one.response.headers if one.response is not None else ()
        return self._render(
            "detail.html",
            one=one,
            row=one.summary(),
            request_headers=_texts(one.request.headers),
            response_headers=_texts(answer),
            request_view=body_view(one.request.headers, one.request_body),
            response_view=body_view(answer, one.response_body),
            request_hex=wording.hex_dump(one.request_body.data),
            response_hex=wording.hex_dump(one.response_body.data),
            spans=_spans(one),
            curl=wording.as_curl(one, base),
            findings=reading(one, self._it.secrets),
            has_secrets=bool(self._it.secrets),
            attempts=[each for each in attempts if each.event_id == event_id],
            replays=self._found(f"origin:{one.id}"),
            origin=self._store.get(one.origin) if one.origin else None,
            has_replay=self._it.has_replay,
            can_sign=self._it.can_sign(one.request),
        )

    def _found(self, text: str) -> Sequence[Summary]:
        query = parse_query(text, now=self._it.clock.wall())
        return self._store.find(query, limit=ATTEMPTS_MAX).items

    async def body(self, request: Request) -> Response:
        """Serve a body's bytes: a picture as one, all else to be saved."""
        id_, side = request.path_params["id"], request.path_params["side"]
        one = await asyncio.to_thread(self._store.get, id_)
        if one is None or side not in {"request", "answer"}:
            return await self._missing()
        headers, body = one.request.headers, one.request_body
        if side == "answer":
            headers, body = one.response.headers if one.response else (), one.response_body
        media = content_type(headers)
        is_image = media in IMAGES
        return Response(
            body.data,
            media_type=media if is_image else "application/octet-stream",
            headers={
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "Content-Disposition": f"{'inline' if is_image else 'attachment'}; "
                f'filename="{one.id}-{side}"',
            },
        )

    # --- others -----------------------------------------------------------------------------

    async def diff(self, request: Request) -> Response:
        a, b = request.query_params.get("a", ""), request.query_params.get("b", "")
        return await self._page(lambda: self._diff(a, b))

    def _diff(self, a: str, b: str) -> str | None:
        left, right = self._store.get(a), self._store.get(b)
        if left is None or right is None:
            return None
        return self._render(
            "diff.html",
            left=left.summary(),
            right=right.summary(),
            differences=differences(left, right),
        )

    async def status(self, _request: Request) -> Response:
        # Counts belong to the loop that they are counted on.
        shown = self._it.reading(), self._it.tunnels(), self._it.latency_seconds()
        return await self._page(lambda: self._status(*shown))

    def _status(
        self, shown: Reading | None, tunnels: Sequence[TunnelShown], latency: float | None
    ) -> str:
        now = self._it.clock.wall()
        found = bins(self._store.recent(now - BINS * BIN_SECONDS), now)
        return self._render(
            "status.html",
            tunnels=tunnels,
            reading=shown,
            latency=latency,
            chart=_Chart(found),
            count=self._store.count(EVERYTHING),
            stored=self._store.stored_bytes,
            store=self._store,
            dropped=self._it.dropped(),
        )

    async def clear(self, _request: Request) -> Response:
        await asyncio.to_thread(self._store.delete_all)
        return RedirectResponse("/", 303)

    async def delete(self, request: Request) -> Response:
        await asyncio.to_thread(self._store.delete, [request.path_params["id"]])
        return RedirectResponse("/", 303)

    # --- inside -----------------------------------------------------------------------------

    def _query(self, text: str) -> tuple[Query, str]:
        """Return the query, and what is wrong with *text*: then everything is shown."""
        try:
            return parse_query(text, now=self._it.clock.wall()), ""
        except ConfigError as error:
            return EVERYTHING, str(error)

    async def _page(self, make: Callable[[], str | None]) -> Response:
        try:
            html = await asyncio.to_thread(make)
        except StoreError as error:
            return PlainTextResponse(f"{error}\n", 500)
        except ValueError:
            return PlainTextResponse("A number in the address is none.\n", 400)
        return await self._missing() if html is None else HTMLResponse(html)

    async def _missing(self) -> Response:
        return HTMLResponse(await asyncio.to_thread(self._render, "missing.html"), 404)

    def _render(self, name: str, **values: Any) -> str:
        return self._templates.get_template(name).render(**values)


class _Chart:
    """The charts of the status page, as lines in a box."""

    def __init__(self, found: Sequence[Bin]) -> None:
        self.top = max(1, *(one.good + one.bad for one in found))
        self.total = sum(one.good + one.bad for one in found)
        self.failed = sum(one.bad for one in found)
        self.slowest = max(0.001, *(one.p90 for one in found))
        self.bars = [
            (
                at * 10.0,
                90.0 * one.good / self.top,
                90.0 * one.bad / self.top,
                f"{one.good + one.bad} requests, {one.bad} of them failed",
            )
            for at, one in enumerate(found)
        ]
        self.p50 = polyline([one.p50 for one in found], self.slowest)
        self.p90 = polyline([one.p90 for one in found], self.slowest)


def _texts(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _spans(one: Captured) -> list[tuple[str, float, float, str]]:
    """Return the steps of an exchange: name, start and width in percent, and seconds."""
    total = max(one.duration_seconds, 1e-9)
    marks = [
        ("Connection to your app", 0.0, one.connected_seconds),
        ("Your app works", one.connected_seconds, one.responded_seconds),
        ("Answer is passed on", one.responded_seconds, one.duration_seconds),
    ]
    return [
        (
            name,
            round(100 * start / total, 2),
            max(0.4, round(100 * (end - start) / total, 2)),
            wording.seconds_text(end - start),
        )
        for name, start, end in marks
        if start is not None and end is not None
    ]


def _wake(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended before
        loop.call_soon_threadsafe(changed.set)
