"""
What is sent when, to replay captured exchanges: as they were, edited, signed afresh, or badly.

Pure: time and randomness are arguments. `replayer` carries a plan out.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

from hookloop.errors import ConfigError
from hookloop.exchange import Headers, RequestHead

from .captured import Captured
from .webhook_signature import KnownSecret, corrupted, signed_again, with_field

__all__ = ["Edits", "Faults", "ReplayOrder", "Shot", "plan"]

SHOTS_MAX = 1_000  # sent by one order; a query can find a hundred thousand
RATE_MAX = 1_000.0  # a second; more is a load test, and there are better tools for it
RATE = 10.0  # a second: what a development server takes
DELAY_SECONDS_MAX = 3600.0
COPIES_MAX = 100

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_TARGET = re.compile(rb"/[!-~]*", re.ASCII)
_VALUE = re.compile(rb"[\t -~\x80-\xff]*")
# They say how the message is framed on one connection, which whoever sends it decides.
_OF_THE_CONNECTION = {b"connection", b"transfer-encoding", b"upgrade", b"te", b"trailer"}


@dataclass(frozen=True, slots=True)
class Edits:
    """What is changed. Raises `ConfigError` for what is no HTTP."""

    method: bytes | None = None
    target: bytes | None = None
    """Path and query."""
    set_headers: Headers = ()
    """Each in the place of the field of its name, or at the end."""
    remove_headers: tuple[bytes, ...] = ()
    all_headers: Headers | None = None
    """In the place of all there were."""
    body: bytes | None = None

    def __post_init__(self) -> None:
        if self.method is not None and not _TOKEN.fullmatch(self.method):
            raise ConfigError(f"{_shown(self.method)} is no method of HTTP: use GET, POST ...")
        if self.target is not None and not _TARGET.fullmatch(self.target):
            raise ConfigError(
                f"{_shown(self.target)} is no path: begin it with / and escape what is not ASCII"
            )
        for name, value in (*self.set_headers, *(self.all_headers or ())):
            if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ConfigError(f"the header {_shown(name)} cannot be sent: look for odd signs")

    @property
    def is_any(self) -> bool:
        return self != Edits()


@dataclass(frozen=True, slots=True)
class Faults:
    """What deliveries suffer on the internet. Raises `ConfigError`."""

    copies: int = 1
    """How often each is sent; two are a duplicate."""
    delay_seconds: float = 0.0
    """How much later than the others."""
    reorder: bool = False
    corrupt: bool = False
    """Break the signature."""
    event_types: tuple[str, ...] = ()
    """Only of these events, ``customer.*`` too; all without."""

    def __post_init__(self) -> None:
        if not 1 <= self.copies <= COPIES_MAX:
            raise ConfigError(f"{self.copies} copies cannot be sent: use 1 to {COPIES_MAX}")
        if not 0 <= self.delay_seconds <= DELAY_SECONDS_MAX:
            raise ConfigError(f"a delay is 0 to {DELAY_SECONDS_MAX:g} seconds")


@dataclass(frozen=True, slots=True)
class ReplayOrder:
    """What is wanted. Raises `ConfigError`."""

    edits: Edits = Edits()
    resign: bool = False
    """Sign afresh, with the secret that is known."""
    provider: str | None = None
    """Who signs a request that has no signature."""
    faults: Faults = field(default_factory=Faults)
    rate: float = RATE
    """Sent a second, at most."""
    upstream: str | None = None
    """Another local service than the tunnel's."""
    tunnel: str | None = None
    """Another tunnel than its own."""

    def __post_init__(self) -> None:
        if not 0 < self.rate <= RATE_MAX:
            raise ConfigError(f"a rate is over 0 and up to {RATE_MAX:g} a second")


class Shot(NamedTuple):
    """One request to be sent."""

    after: float
    """Seconds from the start."""
    origin: str
    """The id of the exchange it is a replay of."""
    tunnel: str
    head: RequestHead
    body: bytes
    note: str
    """What is other than in the original, in a few words."""


def plan(
    kept: Sequence[Captured],
    order: ReplayOrder,
    secrets: Sequence[KnownSecret],
    *,
    now: float,
    random: Callable[[], float],
) -> tuple[Shot, ...]:
    """
    Return what to send, in the order of sending, which is that of *kept* where no fault says else.

    *now* is in Unix seconds; *random* draws from [0, 1). Raises `ConfigError` where one of them
    cannot be sent as it is wanted, before any is sent.
    """
    chosen = [each for each in kept for _ in range(_copies(each, order.faults))]
    if len(chosen) > SHOTS_MAX:
        raise ConfigError(
            f"this would send {len(chosen)} requests: one order sends up to {SHOTS_MAX}. Narrow it"
        )
    if order.faults.reorder:
        chosen = _reordered(chosen, order.faults, random)
    shots = []
    for number, each in enumerate(chosen):
        after = number / order.rate
        is_faulty = _is_meant(each, order.faults)
        if is_faulty:
            after += order.faults.delay_seconds
        head, body = _message(each, order, secrets, int(now + after), is_faulty=is_faulty)
        note = _note(order, is_faulty=is_faulty)
        shots.append(Shot(after, each.id, order.tunnel or each.tunnel, head, body, note))
    return tuple(sorted(shots, key=lambda shot: shot.after))


# --- inside ----------------------------------------------------------------------------------


def _message(
    kept: Captured,
    order: ReplayOrder,
    secrets: Sequence[KnownSecret],
    now: int,
    *,
    is_faulty: bool,
) -> tuple[RequestHead, bytes]:
    if order.edits.body is None and not kept.request_body.is_as_passed:
        why = "a secret was taken out of it" if kept.request_body.is_whole else "it is too long"
        raise ConfigError(
            f"{kept.id} cannot be replayed: its body was not kept as it came ({why}); "
            "give it another"
        )
    head, body = _edited(kept, order.edits)
    if order.resign:
        original = (kept.request, kept.request_body.data)
        head = signed_again(
            head, body, secrets, now=now, original=original, provider=order.provider
        ).head
    if order.faults.corrupt and is_faulty:
        head = corrupted(head)
    return head, body


def _edited(kept: Captured, edits: Edits) -> tuple[RequestHead, bytes]:
    head, body = kept.request, kept.request_body.data
    if not edits.is_any:
        return head, body
    headers = head.headers if edits.all_headers is None else edits.all_headers
    removed = {name.lower() for name in edits.remove_headers} | _OF_THE_CONNECTION
    headers = tuple(each for each in headers if each[0].lower() not in removed)
    for name, value in edits.set_headers:
        headers = with_field(headers, name, value)
    if edits.body is not None:
        body = edits.body
    had_length = any(name.lower() == b"content-length" for name, _ in headers)
    if body or had_length:
        headers = with_field(headers, b"Content-Length", b"%d" % len(body))
    method = head.method if edits.method is None else edits.method
    target = head.target if edits.target is None else edits.target
    return RequestHead(method, target, headers), body


def _note(order: ReplayOrder, *, is_faulty: bool) -> str:
    faults = order.faults
    words = [
        *(["edited"] if order.edits.is_any else []),
        *(["signed again"] if order.resign else []),
        *([f"to {order.upstream}"] if order.upstream else []),
        *([f"one of {faults.copies}"] if is_faulty and faults.copies > 1 else []),
        *([f"{faults.delay_seconds:g} s late"] if is_faulty and faults.delay_seconds else []),
        *(["out of order"] if is_faulty and faults.reorder else []),
        *(["bad signature"] if is_faulty and faults.corrupt else []),
    ]
    return ", ".join(words)


def _copies(kept: Captured, faults: Faults) -> int:
    return faults.copies if _is_meant(kept, faults) else 1


def _is_meant(kept: Captured, faults: Faults) -> bool:
    if not faults.event_types:
        return True
    facts = kept.webhook
    return facts is not None and any(
        fnmatchcase(facts.event_type, pattern) for pattern in faults.event_types
    )


def _reordered(
    chosen: list[Captured], faults: Faults, random: Callable[[], float]
) -> list[Captured]:
    """Shuffle those that are meant among their own places; two of them always change places."""
    places = [index for index, each in enumerate(chosen) if _is_meant(each, faults)]
    meant = [chosen[index] for index in places]
    mixed = [meant[number] for _, number in sorted((random(), n) for n in range(len(meant)))]
    if mixed == meant:
        mixed.reverse()
    out = list(chosen)
    for index, each in zip(places, mixed, strict=True):
        out[index] = each
    return out


def _shown(data: bytes) -> str:
    return repr(data[:40].decode("latin-1"))
