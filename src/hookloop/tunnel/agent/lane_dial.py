"""Dials a lane that the relay asked for; what comes of it is nobody's trouble but the relay's."""

import logging

from hookloop.errors import RefusedError, RemoteError
from hookloop.tunnel.wire.events import LaneInvited
from hookloop.tunnel.wire.handshake import DATA_PATH, Carriage

from .config import AgentConfig
from .dial import Opened, dial

__all__ = ["LANES_MAX", "dial_lane"]

LANES_MAX = 64  # of one session: twice what our relay asks for; another's must not ask on and on

# A relay of several processes shares its port among them, and one of them knows the ticket.
TRIES_MAX = 12

logger = logging.getLogger("hookloop.agent")


async def dial_lane(config: AgentConfig, invited: LaneInvited, via: Carriage) -> Opened | None:
    """Return the connection, or None: streams then go on where they are."""
    reason: Exception | None = None
    for _ in range(TRIES_MAX):
        try:
            return await dial(
                config.relay_url,
                invited.ticket,
                timeout=config.connect_seconds,
                via=via,
                path=DATA_PATH,
                trust=config.trust,
            )
        except RefusedError as error:
            reason = error
            if error.code != "bad_ticket":
                break
        except (OSError, RemoteError, UnicodeError) as error:  # TimeoutError is an OSError
            reason = error
            break
    logger.info("no further connection to the relay reason=%r", str(reason))
    return None
