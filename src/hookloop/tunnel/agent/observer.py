"""Who is told how an agent and its tunnels fare."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .tunnel import Tunnel

__all__ = ["AgentObserver", "QuietObserver"]


class AgentObserver(Protocol):
    """Is told how the session and each tunnel fare. Must return at once and never raise."""

    def session_up(self) -> None:
        """The relay has greeted us; the tunnels are asked for now."""
        ...

    def session_down(self, reason: str, retry_seconds: float) -> None:
        """No tunnel is reachable, and the next try comes in *retry_seconds*."""
        ...

    def tunnel_up(self, tunnel: "Tunnel") -> None:
        """Callers reach *tunnel* at its `url`: at first, and again after each reconnect."""
        ...

    def tunnel_refused(self, tunnel: "Tunnel", retry_seconds: float | None) -> None:
        """
        The relay does not give *tunnel*, for the reason in its `refusal`.

        One that was up before is asked for again in *retry_seconds*; None says never.
        """
        ...

    def tunnel_removed(self, tunnel: "Tunnel") -> None:
        """*tunnel* was given back, as was asked of the agent."""
        ...


class QuietObserver:
    """Does nothing with what it is told: for those who write only the calls they care about."""

    def session_up(self) -> None: ...

    def session_down(self, reason: str, retry_seconds: float) -> None: ...

    def tunnel_up(self, tunnel: "Tunnel") -> None: ...

    def tunnel_refused(self, tunnel: "Tunnel", retry_seconds: float | None) -> None: ...

    def tunnel_removed(self, tunnel: "Tunnel") -> None: ...
