"""The options of every command that opens a session: which relay, and how it is reached."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from hookloop.tunnel.wire.handshake import Carriage

if TYPE_CHECKING:
    from hookloop.tunnel.agent.trust import Trust

__all__ = ["RelayOption", "SessionOptions", "TokenOption", "ViaOption"]

RelayOption = Annotated[
    str | None,
    typer.Option(
        envvar="HOOKLOOP_RELAY",
        help="The relay's address. Without one, a relay is started on this machine.",
    ),
]
TokenOption = Annotated[
    str, typer.Option(envvar="HOOKLOOP_TOKEN", help="What the relay's owner gave you.")
]
ViaOption = Annotated[
    Carriage | None,
    typer.Option(
        help="How to reach the relay: its own upgrade, or WebSocket for proxies that pass "
        "nothing else. Without it, the one that passes."
    ),
]


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What was chosen."""

    relay: str | None
    token: str = field(repr=False)
    via: Carriage | None
    trust: "Trust"
