"""What to answer the sender of a webhook."""

from functools import lru_cache
from typing import Any, Final, NoReturn

__all__ = ["JSON_HEADERS", "Result", "short_result"]

JSON_HEADERS: Final = (("Content-Type", "application/json"),)


class Result:
    """
    A status, headers and a short JSON body, for any framework to send.

    The body names the outcome and nothing else: why a signature was refused is for our
    log, and never told to whoever sent it.
    """

    __slots__ = ("asgi_headers", "body", "headers", "outcome", "status")

    status: int
    outcome: str
    """One word for logs and metrics: ``handled``, ``ignored``, ``invalid_signature``, ..."""
    headers: tuple[tuple[str, str], ...]
    body: bytes
    asgi_headers: list[tuple[bytes, bytes]]
    """The headers as ASGI has them, with the length; copy the list to change it."""

    def __init__(
        self,
        status: int,
        outcome: str,
        headers: tuple[tuple[str, str], ...] = JSON_HEADERS,
        body: bytes | None = None,
    ) -> None:
        put = object.__setattr__
        put(self, "status", status)
        put(self, "outcome", outcome)
        put(self, "headers", headers)
        put(self, "asgi_headers", None)
        put(self, "body", b'{"outcome": "%b"}' % outcome.encode() if body is None else body)
        length = (b"content-length", b"%d" % len(self.body))
        named = [(_encoded(name.lower()), _encoded(value)) for name, value in headers]
        put(self, "asgi_headers", [length, *named])

    @property
    def status_line(self) -> str:
        """The status with its name, as in ``200 OK``, for faces that must give both."""
        from http import HTTPStatus

        try:
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:  # a handler's `Reply` may have any status
            return f"{self.status} {self.outcome}"

    @property
    def is_success(self) -> bool:
        """Whether the sender takes the delivery for done: Stripe counts redirects as failures."""
        return 200 <= self.status < 300

    def __repr__(self) -> str:
        return f"<Result {self.status} {self.outcome}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Result, (self.status, self.outcome, self.headers, self.body)

    def __setattr__(self, name: str, _value: object) -> NoReturn:
        raise AttributeError(f"a result is shared by many requests: its {name} cannot be set")


def _encoded(text: str) -> bytes:
    return text.encode("latin-1", "replace")  # no header may hold anything else


@lru_cache(maxsize=64)  # there are fewer of them
def short_result(status: int, outcome: str) -> Result:
    """Return the result that says *outcome* and nothing else: the same one each time."""
    return Result(status, outcome)
