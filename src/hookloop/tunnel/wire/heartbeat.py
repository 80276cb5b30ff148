"""Liveness: when to ask, and when to give up. SPEC.md section 5."""

__all__ = ["PING_AFTER_SECONDS", "PROBE_SECONDS", "SILENCE_SECONDS_MAX", "Heartbeat"]

PING_AFTER_SECONDS = 10.0  # ngrok's agent asks every 10 s too
SILENCE_SECONDS_MAX = 25.0  # one question and 15 s for its answer
PROBE_SECONDS = 2.0  # for an answer where there is reason to doubt: twice around the world, slowly


class Heartbeat:
    """Remembers when the other side was last heard, and whether we have asked since."""

    def __init__(self, now: float) -> None:
        self._heard = now
        self._asked: float | None = None
        self._look_at = now
        """Once asked: when to look whether all was quiet again after the answer."""
        self._probe_until: float | None = None

    def heard(self, now: float) -> None:
        """Any bytes came in."""
        self._heard = now
        self._asked = None

    def probe(self, now: float) -> None:
        """There is reason to doubt: a PING goes out, to be answered in `PROBE_SECONDS`."""
        self._probe_until = now + PROBE_SECONDS

    def answered(self) -> None:
        """The last PING came back."""
        self._probe_until = None

    def next_deadline(self) -> float:
        """When to call `is_ping_due` and `silence` again."""
        regular = self._heard + PING_AFTER_SECONDS
        if self._asked is not None:
            # A timer for the end of our patience alone would sleep through the next question,
            # once the answer has come: it was set before.
            regular = min(self._look_at, self._heard + SILENCE_SECONDS_MAX)
        probed = self._probed_until()
        return regular if probed is None else min(regular, probed)

    def is_ping_due(self, now: float) -> bool:
        """Say whether to send PING now; says so once per silence."""
        # The very sum of `next_deadline`: rounding must not make a timer fire for nothing.
        self._look_at = now + PING_AFTER_SECONDS
        if self._asked is not None or now < self._heard + PING_AFTER_SECONDS:
            return False
        self._asked = now
        return True

    def silence(self, now: float) -> float | None:
        """Return the seconds of silence if they are too many to go on, else None."""
        probed = self._probed_until()
        is_over = now >= self._heard + SILENCE_SECONDS_MAX or (probed is not None and now >= probed)
        return now - self._heard if is_over else None

    def _probed_until(self) -> float | None:
        # Bytes alone do not answer a probe: they may have waited in this machine while it slept.
        # But as long as more and more come in, PONG may stand behind them in a slow line.
        if self._probe_until is None:
            return None
        return max(self._probe_until, self._heard + PROBE_SECONDS / 2)
