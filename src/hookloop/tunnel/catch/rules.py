"""What catch mode catches, how it answers, and how long it waits. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from hookloop.errors import ConfigError
from hookloop.exchange import RequestHead, ResponseHead

__all__ = [
    "BODY_BYTES_MAX",
    "CAUGHT_AT_HEADER",
    "CatchRules",
    "as_delivered",
    "is_final",
    "not_caught",
    "retry_seconds",
]

BODY_BYTES_MAX = 4 * 1024 * 1024
"""Of one request. Stripe's events stay below 256 KiB, GitHub's pushes below 25 MiB and mostly far
below; it is held in memory until the app has answered, so that it can be caught if it does not."""

REQUESTS_MAX = 10_000
"""Waiting for one app: some days of a busy test account."""

BYTES_MAX = 256 * 1024 * 1024
"""The same, on the disk."""

CAUGHT_AT_HEADER = b"Hookloop-Caught-At"
"""Tells the app when the request came in, in UTC; only what was caught has it."""

REFUSED_SECONDS = 30
"""When a sender should come again whom we could not catch: a full disk takes a person."""

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 30.0
"""Between tries of a request the app answers with a fault of its own: it is being worked on."""

_AGAIN = {408, 425, 429}
"""4xx that mean "later": all others would be answered in the same way for ever."""

NO_CONTENT = 204
_PATH = re.compile(r"/[\x21-\x7e]*|\*[\x21-\x7e]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class CatchRules:
    """Raises `ConfigError` for rules that cannot work."""

    status: int = 202
    """What the sender is answered, once the request is on the disk."""
    paths: tuple[str, ...] = ()
    """Which paths are caught: ``/webhooks/*`` or ``/stripe``; none is all of them."""
    body_bytes_max: int = BODY_BYTES_MAX
    requests_max: int = REQUESTS_MAX
    bytes_max: int = BYTES_MAX

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 299:
            raise ConfigError(
                f"the catch status is {self.status}: senders take only 200 to 299 for an answer, "
                "such as 202"
            )
        for path in self.paths:
            if not _PATH.fullmatch(path):
                raise ConfigError(
                    f"{path!r} is no path to catch: give one such as /webhooks/stripe or /hooks/*"
                )
        if not 0 < self.body_bytes_max <= BODY_BYTES_MAX:
            raise ConfigError(f"a caught body has at most {BODY_BYTES_MAX} bytes")
        if self.requests_max < 1 or self.bytes_max < self.body_bytes_max:
            raise ConfigError("catch mode needs room for one request at least")

    def want(self, head: RequestHead) -> bool:
        """
        Return whether such a request is caught while its app is down.

        Only POST: a person who looks at a page should see that the app is down. What has
        trailers, or asks for another protocol, is no webhook.
        """
        if head.method != b"POST" or head.get(b"upgrade") or head.get(b"trailer"):
            return False
        length = head.get(b"content-length") or b"0"
        if not length.isdigit() or int(length[:18]) > self.body_bytes_max:
            return False
        path = head.target.partition(b"?")[0].decode("ascii", "replace")
        return not self.paths or any(fnmatchcase(path, pattern) for pattern in self.paths)

    def answer(self) -> ResponseHead:
        """Return what a sender gets whose request is on the disk; there is no body."""
        length = () if self.status == NO_CONTENT else ((b"Content-Length", b"0"),)
        return ResponseHead(self.status, b"", (*length, (b"Hookloop-Caught", b"1")))


def not_caught() -> ResponseHead:
    """Return what a sender gets whose request could not be kept: it must come again."""
    headers = ((b"Content-Length", b"0"), (b"Retry-After", b"%d" % REFUSED_SECONDS))
    return ResponseHead(503, b"", headers)


def as_delivered(head: RequestHead, *, received_at: float) -> RequestHead:
    """Return *head* for the app: as it came, with the time it came at behind it."""
    when = datetime.fromtimestamp(received_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    name = CAUGHT_AT_HEADER.lower()
    headers = tuple(field for field in head.headers if field[0].lower() != name)
    return RequestHead(head.method, head.target, (*headers, (CAUGHT_AT_HEADER, when)))


def is_final(status: int) -> bool:
    """Return whether the app's answer settles a request: a 5xx of today may be a 200 tomorrow."""
    return status < 500 and status not in _AGAIN


def retry_seconds(failures: int) -> float:
    """Return how long to wait after so many failures."""
    return min(FIRST_RETRY_SECONDS * float(1 << min(failures - 1, 16)), LONGEST_RETRY_SECONDS)
