"""
The handler library under hostile requests.

    python tests/fuzz/fuzz_events.py [--requests 200000] [--seed 0]
    python tests/fuzz/fuzz_events.py --seed 31337 --requests 1      # that one again

The law, for each face: no exception comes out, the answer is one of the documented ones and
says nothing else, no log line holds a secret or a piece of the payload, and a handler only
ever runs for a body that one of our secrets has signed, now.
"""

import argparse
import asyncio
import contextlib
import io
import json
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from random import Random
from typing import Any

from hostile import BODY_BYTES_MAX, MARK, NOW, SECRETS, Hostile, hostile_request, sign
from hostile_providers import PROVIDER_SECRET, expected_proof, hostile_provider_headers

from hookloop import Drop, Event, Hooks, ProviderHooks, Reject, Reply, Retry
from hookloop.events.providers import GitHub, Shopify, Slack, StandardWebhooks

__all__ = ["ANSWERS", "BrokenLawError", "Fuzz", "run"]

APPROVED = b'{"approved": true}'
ANSWERS = {
    "handled": 200,
    "ignored": 200,
    "duplicate": 200,
    "dropped": 200,
    "invalid_signature": 400,
    "invalid_payload": 400,
    "unknown_event": 401,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "rejected": 422,
    "raw_body_unavailable": 500,
    "retry": 503,
}
"""Every outcome there may be here, with its status; nothing fails, so there is no ``failed``."""

ANSWER_HEADERS = {
    *("content-type", "content-length", "connection", "allow", "retry-after", "stripe-version"),
}
SHORT_JSON = re.compile(rb'\{"outcome": "([a-z_]+)"\}')
CHALLENGE = re.compile(rb'\{"challenge": .*\}')
CLEAN_VALUE = re.compile(r"[\x20-\x7e]{0,100}")


Face = Callable[["Fuzz", Hostile, Random], Awaitable["Answer"]]


class BrokenLawError(AssertionError):
    """What was answered must not be; the message holds the seed."""


class Answer:
    """What a face sent; *status* is None where the caller had gone before the end."""

    def __init__(self, status: int | None, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Clock:
    """Its wall stands still; its other time moves on a little, so that refusals are logged."""

    def __init__(self) -> None:
        self._ticks = count()

    def wall(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return next(self._ticks) / 50


class Fuzz:
    """`Hooks` of several kinds, and what has happened to them."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.handled: bytes | None = None
        options: dict[str, Any] = {"clock": Clock(), "body_bytes_max": BODY_BYTES_MAX}
        self._sync, self._async = Hooks(SECRETS, **options), Hooks(SECRETS, **options)
        self._retrieving = Hooks(verify="retrieve", retrieve=self._retrieve, **options)
        self._others = [
            ProviderHooks(provider, PROVIDER_SECRET, **options)
            for provider in (GitHub(), Shopify(), Slack(), StandardWebhooks())
        ]
        for other in self._others:
            other.on_any(self._handler)
        for hooks in (self._sync, self._retrieving):
            hooks.on_prefix("v")(self._handler)
            hooks.on("invoice.paid", "issuing_authorization.request")(self._handler)
        self._async.on_prefix("v")(self._async_handler)
        self._async.on("invoice.paid", "issuing_authorization.request")(self._async_handler)

    # --- the application's side -------------------------------------------------------------

    def _handler(self, event: Event[Any]) -> Reply | Retry | Reject | Drop | None:
        """Look at everything an event has; end in one of all ways."""
        self.handled = event.raw
        looked_at = (
            *(event.created, event.livemode, event.account, event.context, event.api_version),
            *(event.request_id, event.idempotency_key, event.data, event.previous, event.related),
            *(event.twin_id, event.is_placeholder, event.key, event.get("x"), hash(event)),
        )
        assert MARK not in repr(event)
        assert isinstance(looked_at[0], int)
        ends = (None, None, Reply(APPROVED), Retry(), Retry(5), Reject("no"), Drop("no"))
        return ends[len(event.raw) % len(ends)]

    async def _async_handler(self, event: Event[Any]) -> Reply | Retry | Reject | Drop | None:
        return self._handler(event)

    def _retrieve(self, id_: str) -> dict[str, Any] | None:
        if not re.fullmatch(r"evt_\w+", id_, re.ASCII):
            raise BrokenLawError(f"{id_!r} was asked for")
        return None

    # --- the faces --------------------------------------------------------------------------

    async def send(self, request: Hostile, random: Random) -> None:
        """Send *request* to one of the faces, and hold the answer against the law."""
        self.handled = None
        face = random.choice(FACES)
        answer = await face(self, request, random)
        self._judge(request, face, answer)

    async def _receive(self, request: Hostile, random: Random) -> Answer:
        hooks = self._retrieving if random.random() < 0.1 else self._sync
        result = hooks.receive(
            request.body,
            random.choice(HEADER_SHAPES)(request.headers),
            method=request.method,
            path=request.path,
        )
        return Answer(result.status, [*result.headers], result.body)

    async def _other_provider(self, request: Hostile, random: Random) -> Answer:
        hooks = random.choice(self._others)
        name = hooks.provider.name
        request.headers += hostile_provider_headers(random, name, request.body)
        random.shuffle(request.headers)
        result = hooks.receive(
            request.body,
            random.choice(HEADER_SHAPES)(request.headers),
            method=request.method,
            path=request.path,
        )
        if self.handled is not None:
            proof = expected_proof(name, request.body)
            proven = any(proof in value for _, value in request.headers)
            _demand(proven, f"what {name} did not sign was handled")
        if CHALLENGE.fullmatch(result.body):  # Slack wants its own word back, once it is proven
            return Answer(200, [], APPROVED)
        return Answer(result.status, [*result.headers], result.body)

    async def _wsgi(self, request: Hostile, random: Random) -> Answer:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": request.path,
            "wsgi.input": io.BytesIO(request.body),
        }
        for name, value in request.headers:
            key = name.decode("latin-1").upper().replace("-", "_")
            key = key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"
            text = value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
        if random.random() < 0.1:
            environ["wsgi.input_terminated"] = True
        started: list[tuple[str, list[tuple[str, str]]]] = []
        parts = self._sync.wsgi(environ, lambda status, headers: started.append((status, headers)))
        body = b"".join(parts)
        [(status, headers)] = started
        if request.method == "HEAD":
            body = b'{"outcome": "method_not_allowed"}'
        return Answer(int(status[:3]), headers, body)

    async def _asgi(self, request: Hostile, random: Random) -> Answer:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "path": request.path,
            "headers": [(name.lower(), value) for name, value in request.headers],
        }
        messages = _messages(request.body, random)
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message)

        await self._async.asgi(scope, receive, send)
        if not sent:
            return Answer(None, [], b"")
        start, body = sent
        headers = [
            (name.decode("ascii"), value.decode("ascii")) for name, value in start["headers"]
        ]
        return Answer(start["status"], headers, body["body"])

    # --- the law ----------------------------------------------------------------------------

    def _judge(self, request: Hostile, face: Face, answer: Answer) -> None:
        if answer.status is None:
            self.outcomes["gone"] += 1
            _demand(self.handled is None, "a request that was cut off was handled")
            return
        for name, value in answer.headers:
            _demand(name.lower() in ANSWER_HEADERS, f"the header {name!r} was sent")
            _demand(CLEAN_VALUE.fullmatch(value) is not None, f"{name} is {value!r}")
        if answer.body == APPROVED:
            outcome = "handled"
        else:
            short = SHORT_JSON.fullmatch(answer.body)
            _demand(short is not None, f"the body is {answer.body!r}")
            assert short is not None
            outcome = short[1].decode()
        self.outcomes[outcome] += 1
        _demand(ANSWERS.get(outcome) == answer.status, f"{answer.status} {outcome}")
        if self.handled is not None and face is not Fuzz._other_provider:
            _demand(is_proven(self.handled, request), "what nobody signed was handled")


def is_proven(body: bytes, request: Hostile) -> bool:
    """Return whether the headers hold a signature of *body*, of now, by one of our secrets."""
    value = b",".join(value for _, value in request.headers).decode("latin-1")
    times = [time for time in re.findall(r"t=(\d{1,12})", value) if abs(int(time) - NOW) <= 300]
    return any(sign(secret, time, body) in value for secret in SECRETS for time in set(times))


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BrokenLawError(otherwise)


FACES = (*(Fuzz._receive, Fuzz._asgi, Fuzz._wsgi) * 3, Fuzz._other_provider)


def _as_dict(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def _as_text(headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


HEADER_SHAPES = (list, tuple, iter, _as_dict, _as_text)


def _messages(body: bytes, random: Random) -> Iterator[dict[str, Any]]:
    """Cut *body* into messages as a server may; now and then its sender hangs up."""
    if random.random() < 0.8:
        yield {"type": "http.request", "body": body}
    else:
        cut = random.randrange(len(body) + 1)
        yield {"type": "http.request", "body": body[:cut], "more_body": True}
        if random.random() < 0.3:
            yield {"type": "http.request", "more_body": True}
        if random.random() < 0.8:
            yield {"type": "http.request", "body": body[cut:], "more_body": False}
    while True:
        yield {"type": "http.disconnect"}


# --- many of them -----------------------------------------------------------------------


class Eavesdropper(logging.Handler):
    """Reads every line that would be logged."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        for word in (MARK, *SECRETS):
            if word in line:
                raise BrokenLawError(f"logged: {line}")


@contextlib.contextmanager
def eavesdropping() -> Iterator[None]:
    logger = logging.getLogger("hookloop")
    listener, propagates = Eavesdropper(), logger.propagate
    logger.addHandler(listener)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagates


def run(requests: int, *, seed: int) -> Counter[str]:
    """
    Send *requests* requests, of *seed* and the numbers after it; return how they ended.

    Raises `BrokenLawError`, which names the seed of the request that broke it.
    """
    fuzz = Fuzz()

    async def send_all() -> None:
        for number in range(seed, seed + requests):
            random = Random(number)
            request = hostile_request(random)
            try:
                await fuzz.send(request, random)
            except Exception as error:
                again = f"python tests/fuzz/fuzz_events.py --requests 1 --seed {number}"
                raise BrokenLawError(f"{error!r:.500}\n{again}\n{request!r}") from error

    with eavesdropping():
        asyncio.run(send_all())
    return fuzz.outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description="Send hostile requests to every face.")
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() // 1_000_000)
    options = parser.parse_args()
    began = time.perf_counter()
    outcomes = run(options.requests, seed=options.seed)
    print(f"{options.requests} requests from seed {options.seed} on,", end=" ")
    print(f"{time.perf_counter() - began:.1f} s: the law held")
    print(json.dumps(dict(outcomes.most_common()), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
