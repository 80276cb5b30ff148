"""Liveness: when to ask, and when to give up. SPEC.md section 5."""

__all__ = ["PING_AFTER_SECONDS", "SILENCE_SECONDS_MAX", "Heartbeat"]

PING_AFTER_SECONDS = 10.0  # ngrok's agent asks every 10 s too
SILENCE_SECONDS_MAX = 25.0  # one question and 15 s for its answer


class Heartbeat:
    """Remembers when the other side was last heard, and whether we have asked since."""

    def __init__(self, now: float) -> None:
        self._heard = now
        self._asked: float | None = None

    def heard(self, now: float) -> None:
        """Any bytes came in."""
        self._heard = now
        self._asked = None

    def next_deadline(self) -> float:
        """When to call `is_ping_due` and `silence` again."""
        wait = PING_AFTER_SECONDS if self._asked is None else SILENCE_SECONDS_MAX
        return self._heard + wait

    def is_ping_due(self, now: float) -> bool:
        """Say whether to send PING now; says so once per silence."""
        # The very sum of `next_deadline`: rounding must not make a timer fire for nothing.
        if self._asked is not None or now < self._heard + PING_AFTER_SECONDS:
            return False
        self._asked = now
        return True

    def silence(self, now: float) -> float | None:
        """Return the seconds of silence if they are too many to go on, else None."""
        return now - self._heard if now >= self._heard + SILENCE_SECONDS_MAX else None
