"""
The public side: takes callers' requests, and passes each to the agent whose name it bears.

Pure, and read first: `http_head` (what is let in and what is passed on), `response`
(how an answer is framed for a caller), `refusal`, `names`, `registry`, `tokens`, `limits`.
Shells: `downstream` (a caller's connection), `link` (an agent's session), `gate` (who is let
in), `landlord` (who has which name), `server`. Several processes: `supervisor` starts a
`worker` each, and `peers` joins them. TLS: `client_hello` (pure), then `tls_listener`,
`certificates`, `acme_keeper`. Bytes that nobody reads: `raw_front`.
"""

from .config import RelayConfig
from .limits import RelayLimits
from .server import Relay, running_relay

__all__ = ["Relay", "RelayConfig", "RelayLimits", "running_relay"]
