"""What a caller's connection needs of the relay: where requests go, and the means to serve them."""

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hookloop.clock import Clock
from hookloop.exchange import CaptureSink, RequestHead, ResponseHead

from .config import RelayConfig
from .counts import Counts
from .forwarded import Proxies
from .http_head import Admitted
from .link import Link
from .refusal import Refusal

if TYPE_CHECKING:
    from .catch_link import CatchLink
    from .downstream import Downstream
    from .waiting import WaitingLink

__all__ = ["Front", "Page", "Route", "peer_name"]


class Route(NamedTuple):
    """A request goes to an agent, or where it waits for one."""

    tunnel: str
    link: "Link | CatchLink | WaitingLink"


class Page(NamedTuple):
    """A request is for the relay itself, which answers this."""

    head: ResponseHead
    body: bytes


class Front(Protocol):
    """What a caller's connection needs of the relay."""

    config: RelayConfig
    clock: Clock
    sink: CaptureSink
    counts: Counts
    proxies: Proxies
    scheme: str
    """Of the URLs that callers use: ``http`` or ``https``."""
    is_leaving: bool
    """Whether callers should open their next connection elsewhere."""

    def peer_of(self, transport: asyncio.BaseTransport) -> tuple[str, int]:
        """Return the address that a connection came from."""
        ...

    def enter(self, downstream: "Downstream", host: str) -> Refusal | None:
        """Count a connection of *host* in, or say why there is no room for it."""
        ...

    def route(self, admitted: Admitted) -> Route | Page | Refusal:
        """Say where a request goes."""
        ...

    def is_of_agent(self, admitted: Admitted, upgrade: RequestHead) -> bool:
        """Say whether a request with Upgrade is one of an agent, and no tunnel's."""
        ...

    def open_session(
        self, upgrade: RequestHead, transport: asyncio.Transport, rest: bytes
    ) -> Refusal | None:
        """Hand an agent's connection over, or say why not."""
        ...

    def downstream_lost(self, downstream: "Downstream") -> None: ...


def peer_name(transport: asyncio.BaseTransport) -> tuple[str, int]:
    """Return the address at the other end of a connection."""
    peer = transport.get_extra_info("peername") or ("unknown", 0)
    return str(peer[0]), int(peer[1])
