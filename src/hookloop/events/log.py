"""The one logger, ``hookloop``: ids and reasons, never a payload or a secret."""

from typing import TYPE_CHECKING

from .receive import Rejected

if TYPE_CHECKING:
    import logging

__all__ = ["RefusalLog", "logger"]

_WARNING, _ERROR = 30, 40  # the levels of `logging`, which is imported where it is used

REFUSAL_SECONDS = 1.0  # one line a second shows a mistake; more of them only help who floods us


def logger() -> "logging.Logger":
    """Return the logger. `logging` costs 7 ms to import, and not every process logs."""
    import logging

    return logging.getLogger("hookloop")


class RefusalLog:
    """Tells refused requests: at most one line a second for each reason, the rest by number."""

    def __init__(self) -> None:
        self._told_at: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def tell(self, rejected: Rejected, now: float) -> None:
        """Log *rejected* at *now*, in monotonic seconds."""
        reason = rejected.reason
        if now - self._told_at.get(reason, -REFUSAL_SECONDS) < REFUSAL_SECONDS:
            self._left_out[reason] = self._left_out.get(reason, 0) + 1
            return
        self._told_at[reason] = now
        left_out = self._left_out.pop(reason, 0)
        is_ours = rejected.status >= 500 or reason == "not_an_event"  # server errors
        logger().log(
            _ERROR if is_ours else _WARNING,
            "webhook refused status=%d reason=%s: %s%s",
            rejected.status,
            reason,
            rejected.detail,
            f" ({left_out} more like it were not logged)" if left_out else "",
            extra={"status": rejected.status, "reason": reason},
        )
