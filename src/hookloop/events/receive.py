"""
All rules about a webhook request, as pure functions: a request in, a verdict out.

Verify first, parse after: a body nobody signed is never looked into.
"""

from typing import TYPE_CHECKING, Any

from hookloop.errors import SignatureError

from .event import Event, PayloadError, read_payload
from .incoming import Incoming, read_length
from .keyring import Keyring
from .result import JSON_HEADERS, Result, short_result

if TYPE_CHECKING:
    from .providers import Provider

__all__ = ["BODY_BYTES_MAX", "Rejected", "judge", "judge_head"]

BODY_BYTES_MAX = 1024 * 1024  # Stripe's largest events are some hundred KB

_ALLOW_POST = (("Allow", "POST"), *JSON_HEADERS)


class Rejected:
    """Not to be handled. The reason is for logs; the sender only sees the outcome."""

    __slots__ = ("detail", "outcome", "reason", "retry_after_seconds", "status")

    def __init__(
        self,
        status: int,
        outcome: str,
        reason: str,
        detail: str,
        *,
        retry_after_seconds: int | None = None,
    ) -> None:
        self.status = status
        self.outcome = outcome
        self.reason = reason
        """One of a few fixed words, fit for a metric's label."""
        self.detail = detail
        """What happened and what to do, for the log."""
        self.retry_after_seconds = retry_after_seconds

    def result(self) -> Result:
        """Return what the sender is told."""
        if self.status == 405:  # the one status that must say what is allowed
            return Result(self.status, self.outcome, _ALLOW_POST)
        if self.retry_after_seconds is not None:
            after = ("Retry-After", str(self.retry_after_seconds))
            return Result(self.status, self.outcome, (*JSON_HEADERS, after))
        return short_result(self.status, self.outcome)


def judge_head(
    method: str, content_length: str | bytes | None, body_bytes_max: int
) -> Rejected | None:
    """Refuse what no body can mend, before any of it is read; None where it is worth reading."""
    if method != "POST":
        return wrong_method(method)
    # A number of fewer digits than the limit's is below it.
    if content_length and len(content_length) >= len(str(body_bytes_max)):
        length = read_length(content_length)
        if length is not None and length > body_bytes_max:
            return too_large(body_bytes_max)
    return None


def wrong_method(method: str) -> Rejected:
    """Return the verdict on a request that is no POST."""
    return Rejected(405, "method_not_allowed", "method", f"{method[:20]!r} was sent to a webhook")


def too_large(body_bytes_max: int) -> Rejected:
    """Return the verdict on a body that turns out too large while it is read."""
    return Rejected(
        413,
        "body_too_large",
        "too_large",
        f"the body is over {body_bytes_max} bytes; body_bytes_max raises the limit",
    )


def judge(
    request: Incoming,
    provider: "Provider",
    keyring: Keyring,
    now: float,
    tolerance: float,
    body_bytes_max: int,
) -> Event[Any] | Rejected:
    """
    Judge a request; *now* is Unix seconds. Never raises, whatever the request holds.

    The secret that signed it is noted in *keyring*.
    """
    if request.method != "POST":
        return wrong_method(request.method)
    body = request.body
    if len(body) > body_bytes_max:
        return too_large(body_bytes_max)
    if not body and read_length(request.get("content-length")):
        return body_unavailable()
    if not keyring.secrets:
        return Rejected(
            500, "no_secret", "no_secret", "no signing secret is known for this request"
        )
    try:
        signer = provider.verify(request, keyring.secrets, now=now, tolerance=tolerance)
        if isinstance(signer, SignatureError):
            return _unsigned(signer)
        label = keyring.labels[signer]
        event = provider.read(request, read_payload(body), secret_label=label)
    except SignatureError as error:
        return _unsigned(error)
    except PayloadError as error:
        return Rejected(400, "invalid_payload", "not_an_event", str(error))
    keyring.note(label, now)
    return event


def _unsigned(error: SignatureError) -> Rejected:
    reason, detail = error.args
    return Rejected(400, "invalid_signature", reason, detail)


def body_unavailable(cause: str = "") -> Rejected:
    """Return the verdict on a body that something before us has read away; *cause* names it."""
    return Rejected(
        500,
        "raw_body_unavailable",
        "raw_body",
        "the request announced a body and it is empty here: something before the handler has "
        f"read it. {cause or _ANY_CAUSE}",
    )


_ANY_CAUSE = (
    "Starlette and FastAPI: a BaseHTTPMiddleware that reads request.stream(); read "
    "request.body() there instead. Flask: request.stream or request.form before the view; use "
    "get_data(cache=True). Django: request.POST or request.read() in a middleware; use "
    "request.body. WSGI: wsgi.input was read."
)
