"""
What a handler may say beside "done": four values, to return or, but for `Reply`, to raise.

| a handler ...            | the sender gets | and the event            |
|--------------------------|-----------------|--------------------------|
| returns None             | 200             | is done                  |
| returns `Reply`          | the reply       | is done                  |
| gives `Drop`             | 200             | is given up, and logged  |
| gives `Reject`           | 422             | has failed               |
| gives `Retry`            | 503             | waits for another attempt |
| raises anything else     | 500             | has failed               |
"""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["Drop", "Reject", "Reply", "Retry"]


class Reply:
    """
    The answer to an event whose sender waits for one, such as ``issuing_authorization.request``.

    *body* is bytes to send as they are, or anything JSON can hold.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, body: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body: bytes = (
            body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        )
        self.status = status
        self.headers = dict(headers or {})

    def __repr__(self) -> str:
        return f"<Reply {self.status}, {len(self.body)} bytes>"


class Retry(Exception):  # noqa: N818  # an instruction, which may be raised; not an error
    """Not now: ask the sender to try again, *after* seconds from now where that is known."""

    def __init__(self, after: float | None = None) -> None:
        super().__init__(after)
        self.after = after


class Reject(Exception):  # noqa: N818  # an instruction, which may be raised; not an error
    """This event cannot be handled: the sender gets 422. *reason* is logged, never sent."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class Drop(Exception):  # noqa: N818  # an instruction, which may be raised; not an error
    """Give this event up and say 200, so that it does not come again. *reason* is logged."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
