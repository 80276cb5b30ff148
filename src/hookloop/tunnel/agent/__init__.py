"""
The local side: holds a session with a relay and forwards its streams to the upstream.

Pure, and read first: `backoff` (when to try again), `request_head` (what the
upstream is sent), `response_reader` (what it answers). Shells: `dial` (opens a
session), `upstream` (connections to the local service), `tunnel` (one of the agent's
tunnels), `raw_forward` (a connection of a tcp or tls tunnel), `catch_forward` (a stream
that is caught where the upstream is down), `client` (all together), `running` (for the length
of a with-block).
"""

from .client import Agent
from .config import AgentConfig, TunnelConfig
from .observer import AgentObserver, QuietObserver
from .running import running_agent
from .tunnel import Tunnel

__all__ = [
    "Agent",
    "AgentConfig",
    "AgentObserver",
    "QuietObserver",
    "Tunnel",
    "TunnelConfig",
    "running_agent",
]
