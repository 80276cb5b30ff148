"""Who may look at a whole request before the upstream gets it; the command line gives one in."""

from typing import Protocol

from hookloop.exchange import Objection, RequestHead

__all__ = ["GUARDED_BYTES_MAX", "Guard"]

GUARDED_BYTES_MAX = 25 * 1024 * 1024  # GitHub's largest payload; Stripe's are below 256 KiB


class Guard(Protocol):
    """Stops requests that are not what they should be, such as a webhook that is not signed."""

    async def judge(self, head: RequestHead, body: bytes) -> Objection | None:
        """Return why the request must not pass, or None. If it raises, nothing passes."""
        ...
