"""What can be counted of a session."""

from dataclasses import dataclass

__all__ = ["SessionStatistics"]


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    """A moment's counts; all zero but *streams_opened* once everything has ended."""

    streams_open: int
    streams_opened: int
    bytes_queued: int
    control_bytes_queued: int
