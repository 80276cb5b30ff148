"""
The local side: holds a session with a relay and forwards its streams to the upstream.

Pure, and read first: `backoff` (when to try again), `request_head` (what the
upstream is sent), `response_reader` (what it answers). Shells: `dial` (opens a
session), `upstream` (connections to the local service), `tunnel` (one of the agent's
tunnels), `client` (all together).
"""

from .client import Agent, running_agent
from .config import AgentConfig, TunnelConfig
from .observer import AgentObserver, QuietObserver
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
