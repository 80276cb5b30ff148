"""What an endpoint's answer means for the delivery and for the endpoint. Pure."""

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from hookloop.schedule import RetrySchedule

__all__ = [
    "RETRY_AFTER_SECONDS_MAX",
    "STANDARD_SCHEDULE",
    "Delivered",
    "Disable",
    "GiveUp",
    "Hold",
    "Judgement",
    "Reply",
    "TryAgain",
    "judged",
]

STANDARD_SCHEDULE = RetrySchedule(
    (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
)
"""Standard Webhooks' own: ten attempts within 75 hours."""

RETRY_AFTER_SECONDS_MAX = 24 * 3600.0
"""An endpoint may ask for a day; whoever asks for ten years is not believed."""

JITTER = 0.2
"""Of each wait: what failed together must not come back together."""

HOLD_STATUSES = (429, 502, 504)
"""It is there and cannot take more, in Standard Webhooks' words: the whole endpoint is held."""

HOLDS_BELIEVED = 3
"""In a row, whose ``Retry-After`` is taken at its word; after that ours is the least."""

HOLD_SECONDS, HOLD_SECONDS_MAX = 5.0, 3600.0
GONE = 410


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one POST."""

    status: int | None
    """None where no response came."""
    error: str = ""
    """Why none came, in a few words."""
    retry_after: str | None = None
    """The header, as sent."""
    excerpt: str = ""
    """How the body begins."""
    is_refused: bool = False
    """Our own guard did not let it out."""

    @property
    def detail(self) -> str:
        """For the attempt's record."""
        if self.status is None:
            return self.error
        return f"{self.status} {self.excerpt}".strip()


@dataclass(frozen=True, slots=True)
class Delivered:
    """It has it."""

    detail: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Failed: once more after this wait."""

    wait_seconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The endpoint asks for less: nothing of it is tried for so long, and no attempt is burned."""

    seconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The schedule is exhausted."""

    detail: str


@dataclass(frozen=True, slots=True)
class Disable:
    """The endpoint wants no more, ever."""

    detail: str


Judgement = Delivered | TryAgain | Hold | GiveUp | Disable


def judged(
    reply: Reply,
    schedule: RetrySchedule,
    *,
    failures: int,
    holds: int,
    now: float,
    dice: float,
) -> Judgement:
    """
    Return what *reply* means after *failures* of this delivery and *holds* of its endpoint.

    *now* is in Unix seconds, *dice* a random number from 0 to 1 for the jitter.
    """
    status, detail = reply.status, reply.detail
    if status is not None and 200 <= status <= 299:
        return Delivered(detail)
    if status == GONE:
        return Disable("it answered 410, Gone")
    asked = _asked_seconds(reply.retry_after, now)
    if status in HOLD_STATUSES:
        backoff = min(HOLD_SECONDS * 2.0 ** min(holds, 16), HOLD_SECONDS_MAX)
        is_believed = asked and holds < HOLDS_BELIEVED
        return Hold(asked if is_believed else max(asked, _shaken(backoff, dice)), detail)
    if status is not None and 300 <= status <= 399:
        detail = f"{status}: a redirect is not followed, register the URL it leads to"
    wait = schedule.next_attempt(attempts=failures + 1, ended=0.0)
    if wait is None:
        return GiveUp(f"{detail} (after {failures + 1} failures)")
    return TryAgain(max(asked, _shaken(wait, dice)), detail)


def _shaken(seconds: float, dice: float) -> float:
    return seconds * (1 + JITTER * (2 * dice - 1))


def _asked_seconds(retry_after: str | None, now: float) -> float:
    """Return how long the endpoint asks to be left alone; 0 where it does not, or in the past."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit() and len(text) < 12:
        return min(float(text), RETRY_AFTER_SECONDS_MAX)
    try:
        at = parsedate_to_datetime(text)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        return max(0.0, min(at.timestamp() - now, RETRY_AFTER_SECONDS_MAX))
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
