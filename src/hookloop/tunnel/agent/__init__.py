"""
The local side: holds a session with a relay and forwards its streams to the upstream.

Pure, and read first: `backoff` (when to try again), `request_head` (what the
upstream is sent), `response_reader` (what it answers). Shells: `dial` (opens a
session), `upstream` (connections to the local service), `client` (all together).
"""

from .client import Agent, AgentObserver, running_agent
from .config import AgentConfig

__all__ = ["Agent", "AgentConfig", "AgentObserver", "running_agent"]
