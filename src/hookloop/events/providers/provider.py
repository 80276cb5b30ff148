"""What a sender of webhooks must be able to do."""

from collections.abc import Sequence
from typing import Any, Protocol

from hookloop.errors import SignatureError
from hookloop.events.event import Event
from hookloop.events.incoming import Incoming
from hookloop.events.outcomes import Reply
from hookloop.signing import check_age

__all__ = ["HEADER_CHARS_MAX", "Provider", "check_age", "read_timestamp", "require"]

HEADER_CHARS_MAX = 4096  # every sender's signature is far below 1 KB


class Provider(Protocol):
    """
    One sender's signature and event format. Pure: the time is an argument.

    To write one: `verify` gives `SignatureError` and nothing else whatever the request holds;
    compare digests with `hmac.compare_digest` over bytes, and sign the raw body, never parsed
    JSON.
    """

    name: str
    """Such as ``github``: for logs and metrics."""

    def check_secret(self, secret: str) -> None:
        """Raise `ConfigError` for a secret that cannot be one of this sender's."""
        ...

    def verify(
        self, request: Incoming, secrets: Sequence[str], *, now: float, tolerance: float
    ) -> int | SignatureError:
        """
        Return the index in *secrets* of the one that signed *request*.

        Raises `SignatureError` where none did, or not within *tolerance* seconds of *now*; or
        returns it, which is the same to the caller and cheaper under a flood of forged requests.
        """
        ...

    def read(
        self, request: Incoming, payload: dict[str, Any], *, secret_label: str | None
    ) -> Event[Any]:
        """Return the event of a verified request. Raises `PayloadError` where it is none."""
        ...

    def greeting(self, event: Event[Any], /) -> Reply | None:
        """Return the answer to the sender's own setup call, which no handler sees; else None."""
        ...


def require(request: Incoming, header: str) -> str:
    """Return a header's value, or raise `SignatureError` where it is absent or far too long."""
    value = request.get(header)
    if not value:
        raise SignatureError("missing", f"the request has no {header} header")
    if len(value) > HEADER_CHARS_MAX:
        raise SignatureError("malformed", f"{header} is over {HEADER_CHARS_MAX} characters")
    return value.strip()


def read_timestamp(text: str, header: str) -> int:
    """Return Unix seconds, or raise `SignatureError` for anything but 1 to 12 digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):  # 30,000 years
        raise SignatureError("malformed", f"{header} is not a time in seconds")
    return int(text)
