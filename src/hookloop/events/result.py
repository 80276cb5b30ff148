"""What to answer the sender of a webhook."""

from typing import Final

__all__ = ["Result"]

JSON_HEADERS: Final = (("Content-Type", "application/json"),)


class Result:
    """
    A status, headers and a short JSON body, for any framework to send.

    The body names the outcome and nothing else: why a signature was refused is for our
    log, and never told to whoever sent it.
    """

    __slots__ = ("body", "headers", "outcome", "status")

    def __init__(
        self,
        status: int,
        outcome: str,
        headers: tuple[tuple[str, str], ...] = JSON_HEADERS,
        body: bytes | None = None,
    ) -> None:
        self.status = status
        self.outcome = outcome
        """One word for logs and metrics: ``handled``, ``ignored``, ``invalid_signature``, ..."""
        self.headers = headers
        self.body = b'{"outcome": "%b"}' % outcome.encode() if body is None else body

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
