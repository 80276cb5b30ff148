"""
The public side: takes callers' requests, and passes each to the agent whose name it bears.

Pure, and read first: `http_head` (what is let in and what is passed on), `response`
(how an answer is framed for a caller), `refusal`, `names`, `registry`, `tokens`.
Shells: `downstream` (a caller's connection), `link` (an agent's session), `server`.
"""

from .config import RelayConfig
from .server import Relay, running_relay

__all__ = ["Relay", "RelayConfig", "running_relay"]
