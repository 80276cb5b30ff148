"""
The local side: holds a session with a relay and forwards its streams to the upstream.

Pure, and read first: `backoff` and `disturbance` (when to try again), `policy` and
`pipeline` (who passes, and as what), `request_head` (what the upstream is sent),
`response_reader` (what it answers). Shells: `dial` (opens a session), `lookout` (sees sleep
and changes of networks), `upstream` (connections to the local service), `folder` (files in its
place), `gate` (before the upstream), `tunnel` and `tunnels` (what the agent holds),
`raw_forward` (a connection of a tcp or tls tunnel), `catch_forward` (a stream that is caught
where the upstream is down), `client` (all together), `running` (for the length of a with-block).
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
