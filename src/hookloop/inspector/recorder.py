"""
Takes what passes to the store, without ever holding it up.

The path of traffic appends to a queue that has an end, and is done. A thread of its own does the
rest: redacts, recognises webhooks, writes. It works at most a part of the time, so that
traffic keeps the processor: what comes faster for long is let go, counted, and said.
"""

import logging
from collections import deque
from collections.abc import Callable
from random import Random, SystemRandom
from threading import Event, Thread
from typing import Self

from hookloop.clock import Clock, SystemClock
from hookloop.errors import StoreError
from hookloop.exchange import Exchange, RequestHead, ResponseHead

from .captured import Captured, CapturedBody, WebhookFacts, capture_id
from .redaction import Redaction
from .store import CaptureStore
from .webhook_facts import webhook_facts

__all__ = ["BODY_BYTES_MAX", "Recorder"]

BODY_BYTES_MAX = 1024 * 1024
"""Of each body that are kept: a hundred times a webhook."""
QUEUE_MAX = 20_000  # a burst of some seconds at full speed
QUEUE_BYTES_MAX = 64 * 1024 * 1024
HEAD_BYTES = 2048  # what an exchange holds beside its bodies, about
BATCH_MAX = 200  # exchanges of one transaction: some 20 ms
REST = 5.0  # times as long as it has worked: a sixth of one processor at most
REST_SECONDS_MAX = 0.25  # a page that is looked at is live
EXPIRY_SECONDS = 60.0
CLOSE_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Recorder:
    """A `CaptureSink` that keeps what it is told in *store*. Use it as a with-block."""

    def __init__(
        self,
        store: CaptureStore,
        *,
        redaction: Redaction | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        kind_of: Callable[[str], str] = lambda _: "http",
    ) -> None:
        """*kind_of* says what the tunnel of a name carries."""
        self.store = store
        self._redaction = redaction or Redaction()
        self._clock = clock or SystemClock()
        self._number = (random or SystemRandom()).randrange(1 << 20)
        self._kind_of = kind_of
        self._queue: deque[tuple[float, Exchange]] = deque()
        self._queued_bytes = 0
        self._taken_bytes = 0
        self._dropped = 0
        self._kept = 0
        self._is_closing = False
        self._wake = Event()
        self._rest = Event()
        self._drained = Event()
        self._thread = Thread(target=self._run, name="hookloop-recorder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def captured(self, exchange: Exchange) -> None:
        size = HEAD_BYTES + exchange.kept_bytes
        if (
            len(self._queue) >= QUEUE_MAX
            or self._queued_bytes - self._taken_bytes + size > QUEUE_BYTES_MAX
        ):
            self._dropped += 1
            return
        self._queued_bytes += size  # this thread's alone; the other counts what it took
        self._queue.append((self._clock.wall(), exchange))
        if not self._wake.is_set():
            self._wake.set()

    def dropped(self) -> int:
        """Return how many were let go: the queue was full, or the store could not be written."""
        return self._dropped

    def kept(self) -> int:
        """Return how many were written."""
        return self._kept

    def new_id(self) -> str:
        """Return an id that no other exchange has: for one that is made and not recorded."""
        self._number += 1
        return capture_id(self._clock.wall(), self._number)

    def flush(self, seconds: float = 30.0) -> bool:
        """Return once all that was captured is in the store; False where that takes longer."""
        self._drained.clear()
        self._wake.set()
        self._rest.set()
        return self._drained.wait(seconds)

    def close(self) -> None:
        """Write what is in the queue, as far as that is soon done, and end."""
        self._is_closing = True
        self._wake.set()
        self._rest.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    # --- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        is_indexed = False
        expired = self._clock.monotonic()
        while True:
            # While there is something to index, only look whether anything else is to do.
            self._wake.wait(0.0 if not is_indexed else EXPIRY_SECONDS)
            self._wake.clear()
            began = self._clock.monotonic()
            batch = self._taken()
            if batch:
                self._write(batch)
                is_indexed = False
            elif self._is_closing:
                return
            else:
                self._drained.set()
                if not is_indexed:
                    is_indexed = self._indexed()
                elif began - expired >= EXPIRY_SECONDS:
                    expired = began
                    self._expire()
            if self._queue:
                self._wake.set()
            worked = self._clock.monotonic() - began
            if not self._is_closing and self._drained.is_set() and (batch or not is_indexed):
                self._rest.wait(min(worked * REST, REST_SECONDS_MAX))
                self._rest.clear()

    def _taken(self) -> list[tuple[float, Exchange]]:
        batch: list[tuple[float, Exchange]] = []
        while self._queue and len(batch) < BATCH_MAX:
            one = self._queue.popleft()
            self._taken_bytes += HEAD_BYTES + one[1].kept_bytes
            batch.append(one)
        return batch

    def _write(self, batch: list[tuple[float, Exchange]]) -> None:
        captured = [self.of(at, exchange) for at, exchange in batch]
        now = self._clock.wall()
        try:
            self.store.add(captured, now=now)
        except StoreError as error:
            # A disk that is full must end neither this thread nor the tunnel.
            _log.warning("%s", error)
            self._dropped += len(captured)
        else:
            self._kept += len(captured)

    def _indexed(self) -> bool:
        """Index a little; return whether all is indexed, or cannot be."""
        try:
            return not self.store.index_some()
        except StoreError as error:
            _log.warning("%s", error)
            return True

    def _expire(self) -> None:
        try:
            self.store.make_room(now=self._clock.wall())
        except StoreError as error:
            _log.warning("%s", error)

    def of(self, at: float, exchange: Exchange) -> Captured:
        """Return what is kept of *exchange*, which ended at *at* (Unix seconds)."""
        self._number += 1
        started = at - exchange.duration
        redaction = self._redaction
        target, taken = redaction.of_target(exchange.request.target)
        headers, more = redaction.of_headers(exchange.request.headers)
        taken = taken + more
        request_data, more = redaction.of_body(b"".join(exchange.request_kept))
        taken += more
        response = None
        if exchange.response is not None:
            answered, more = redaction.of_headers(exchange.response.headers)
            response = ResponseHead(exchange.response.status, exchange.response.reason, answered)
            taken += more
        response_data, more = redaction.of_body(b"".join(exchange.response_kept))
        taken += more
        return Captured(
            id=capture_id(started, self._number),
            tunnel=exchange.tunnel,
            kind=self._kind_of(exchange.tunnel),
            remote=exchange.remote,
            started_at=started,
            connected_seconds=_after(exchange, exchange.connected),
            responded_seconds=_after(exchange, exchange.responded),
            duration_seconds=exchange.duration,
            request=RequestHead(exchange.request.method, target, headers),
            request_body=CapturedBody(
                request_data, exchange.request_body_bytes, exchange.request_digest
            ),
            response=response,
            response_body=CapturedBody(
                response_data, exchange.response_body_bytes, exchange.response_digest
            ),
            failure=exchange.failure,
            objection=exchange.objection,
            is_exact=exchange.is_exact,
            webhook=_facts(exchange.request, request_data),
            redacted=tuple(dict.fromkeys(taken)),
        )


def _facts(head: RequestHead, body: bytes) -> WebhookFacts | None:
    return webhook_facts(head, body)


def _after(exchange: Exchange, moment: float | None) -> float | None:
    return None if moment is None else moment - exchange.started
