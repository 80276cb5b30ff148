"""Where a process may die: after each of the commits an application tells of."""

from threading import Lock

__all__ = ["CommitPoints", "Crash"]


class Crash(BaseException):
    """
    The process "dies" here.

    No `Exception`, because what dies does not run ``except Exception`` either.
    """


class CommitPoints:
    """
    The places where an application has just made something durable.

    The application's duty: call `committed` right after each commit, from wherever it
    commits, such as a listener for SQLAlchemy's ``after_commit``. In production it has none
    of this, or one that nobody arms, which costs an addition. Once armed, the chosen call
    raises `Crash`, and so does every later one until the next delivery: the dead commit
    nothing. What the process does *between* two commits, such as a mail it sends, is cut off
    or not as it comes; tell of it as if it were a commit to have it tried.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._count = 0
        self._name = ""
        self._crash_at: int | None = None

    def committed(self, name: str = "") -> None:
        """Take note of a commit; *name* is for the report. Raises `Crash` where it is armed."""
        with self._lock:
            self._count += 1
            if self._crash_at is None or self._count < self._crash_at:
                return
            if self._count == self._crash_at:
                self._name = name
            raise Crash(name)

    # --- for `chaos` ------------------------------------------------------------------------

    def arm(self, crash_at: int | None) -> None:
        """Count from the beginning, and crash at the commit number *crash_at*; None for never."""
        with self._lock:
            self._count = 0
            self._crash_at = crash_at

    @property
    def count(self) -> int:
        """How many commits there were since `arm`."""
        return self._count

    @property
    def has_crashed(self) -> bool:
        """Whether the armed crash has happened, even if the application caught it."""
        return self._crash_at is not None and self._count >= self._crash_at

    @property
    def crashed_at(self) -> str:
        """The name of the commit of the last crash."""
        return self._name
