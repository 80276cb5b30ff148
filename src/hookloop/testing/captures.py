"""
`captures`: what came through a tunnel, for a test to wait for and to look at.

    with captures() as seen, hookloop.tunnel.connect(3000, sink=seen) as tunnel:
        stripe.WebhookEndpoint.create(url=tunnel.url + "/webhooks/stripe", ...)
        paid = seen.wait("invoice.paid")
        assert paid.status == 200
"""

import json
import threading
from collections import deque
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Self

from hookloop.exchange import Exchange

__all__ = ["CapturedExchange", "Captures", "captures"]

WAIT_SECONDS = 30.0  # as `send` waits
KEPT_MAX = 10_000  # of a test; the oldest go first
TOLD_MAX = 10  # in the message of a wait that ended without what it was for


class CapturedExchange:
    """One exchange, as the agent saw it. The repr shows neither body nor headers."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        """All that the agent told of it, timings and digests too."""
        request = exchange.request
        self.method = request.method.decode("latin-1")
        self.path = request.target.partition(b"?")[0].decode("latin-1")
        self.status = exchange.response.status if exchange.response is not None else None
        """What the caller was answered; None where the exchange was cut before that."""
        self.failure = exchange.failure
        """Why it was cut short, or None."""
        self.body = exchange.request_body
        """The request's body, bit for bit; empty where it is longer than a webhook's."""

    def header(self, name: str) -> str | None:
        """Return the first value of the request's header *name*, in whatever case."""
        value = self.exchange.request.get(name.lower().encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    def json(self) -> Any:
        """Return the body read as JSON. Raises `ValueError` where it is none."""
        return json.loads(self.body)

    @property
    def event_type(self) -> str | None:
        """What the event is called: ``invoice.paid``, or GitHub's ``X-GitHub-Event``."""
        if github := self.header("x-github-event"):
            action = self._payload().get("action")
            return f"{github}.{action}" if isinstance(action, str) and action else github
        if shopify := self.header("x-shopify-topic"):
            return shopify.replace("/", ".")
        payload = self._payload()
        inner = payload.get("event")
        if self.header("x-slack-signature") is not None and isinstance(inner, dict):
            payload = inner
        return _text(payload.get("type"))

    @property
    def event_id(self) -> str | None:
        """What all attempts of one event have in common."""
        for name in ("x-github-delivery", "x-shopify-event-id", "webhook-id", "svix-id"):
            if value := self.header(name):
                return value
        payload = self._payload()
        return _text(payload.get("event_id")) or _text(payload.get("id"))

    def _payload(self) -> dict[str, Any]:
        try:
            payload = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return payload if isinstance(payload, dict) else {}

    def __repr__(self) -> str:
        kind = f" {self.event_type}" if self.event_type else ""
        return f"<CapturedExchange {self.method} {self.path}{kind} -> {self.status}>"


class Captures:
    """
    A `CaptureSink` that keeps what it is told; make one with `captures`.

    It may be told by one thread and asked by another: the plain ``with`` of
    `hookloop.tunnel.connect` runs the agent in a thread of its own.
    """

    def __init__(self) -> None:
        self._kept: deque[CapturedExchange] = deque(maxlen=KEPT_MAX)
        self._changed = threading.Condition()

    def captured(self, exchange: Exchange) -> None:
        with self._changed:
            self._kept.append(CapturedExchange(exchange))
            self._changed.notify_all()

    @property
    def all(self) -> tuple[CapturedExchange, ...]:
        """Return those there are, in the order they ended in."""
        with self._changed:
            return tuple(self._kept)

    def clear(self) -> None:
        """Forget them: what is waited for next has not come yet."""
        with self._changed:
            self._kept.clear()

    def wait(  # each of them narrows what is waited for
        self,
        event_type: str | None = None,
        *,
        event_id: str | None = None,
        path: str | None = None,
        status: int | None = None,
        where: Callable[[CapturedExchange], bool] | None = None,
        seconds: float = WAIT_SECONDS,
    ) -> CapturedExchange:
        """
        Return the first exchange that is so, now or as soon as it has ended.

        *event_type* may be a pattern, ``customer.*``. Raises `AssertionError`, which names
        what came instead, after *seconds*.
        """

        def wanted(each: CapturedExchange) -> bool:
            kind = each.event_type
            return (
                (event_type is None or (kind is not None and fnmatchcase(kind, event_type)))
                and event_id in (None, each.event_id)
                and path in (None, each.path)
                and status in (None, each.status)
                and (where is None or where(each))
            )

        def found() -> CapturedExchange | None:
            return next(filter(wanted, self._kept), None)

        with self._changed:
            exchange = self._changed.wait_for(found, seconds)
            if exchange is not None:
                return exchange
            came = [repr(each) for each in self._kept]
        asked = {"event_id": event_id, "path": path, "status": status}
        words = [event_type or "exchange"]
        words += [f"{key} {value}" for key, value in asked.items() if value is not None]
        more = f", and {len(came) - TOLD_MAX} more" if len(came) > TOLD_MAX else ""
        instead = f"these came: {', '.join(came[:TOLD_MAX])}{more}" if came else "nothing came"
        raise AssertionError(f"no {', '.join(words)} within {seconds:g} s; {instead}")

    async def await_(self, *wanted: Any, **more: Any) -> CapturedExchange:
        """Do what `wait` does, without holding up the loop that runs here."""
        import asyncio

        return await asyncio.to_thread(self.wait, *wanted, **more)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to end: whoever tells it ends first."""

    def __len__(self) -> int:
        return len(self._kept)


def captures() -> Captures:
    """Return an empty `Captures`, to be given to `hookloop.tunnel.connect` as its *sink*."""
    return Captures()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
