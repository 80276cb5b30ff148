"""An agent and its tunnels, counted."""

from dataclasses import dataclass

__all__ = ["AgentStatistics", "TunnelStatistics"]


@dataclass(frozen=True, slots=True)
class AgentStatistics:
    """A moment's counts."""

    exchanges: int
    """All that have ended since the start."""
    exchanges_open: int
    sessions: int
    """How often a session was opened; more than 1 means it was lost and came back."""
    latency_seconds: float | None
    """Of the last PING, or None before the first."""
    relay_software: str
    """What the relay calls itself; empty before the first session."""


@dataclass(frozen=True, slots=True)
class TunnelStatistics:
    """A moment's counts of one tunnel."""

    exchanges: int
    """All that have ended since the start."""
    exchanges_open: int
