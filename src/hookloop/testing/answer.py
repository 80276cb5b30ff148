"""What an application answered."""

import json
from collections.abc import Iterable
from typing import Any

__all__ = ["Answer"]


class Answer:
    """
    Status, headers and body of a response.

    *headers*: names in lower case; of several with one name, the last. *error*: what the
    application raised and a server would have turned into this 500; None otherwise.
    """

    __slots__ = ("body", "error", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        *,
        error: Exception | None = None,
    ) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body
        self.error = error

    @property
    def is_success(self) -> bool:
        """Whether the sender takes the delivery for done: what is not 2xx comes again."""
        return 200 <= self.status < 300

    @property
    def json(self) -> Any:
        """The body, parsed. Raises `ValueError` where it is no JSON."""
        return json.loads(self.body)

    @property
    def outcome(self) -> str | None:
        """The word `hookloop.Hooks` answers with, such as ``handled``; None for other bodies."""
        try:
            told = self.json
        except ValueError:
            return None
        outcome = told.get("outcome") if isinstance(told, dict) else None
        return outcome if isinstance(outcome, str) else None

    def __repr__(self) -> str:
        if self.error is not None:
            return f"<Answer {self.status}, the app raised {type(self.error).__name__}>"
        return f"<Answer {self.status} {self.outcome or f'{len(self.body)} bytes'}>"
