"""Lets names to agents: what a token may have, who has it, and which host leads where."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from hookloop.clock import Clock
from hookloop.ids import RandomSource
from hookloop.tunnel.log_values import Values
from hookloop.tunnel.wire.messages import Bind

from .config import RelayConfig
from .counts import Counts
from .names import Namespace
from .registry import Found, Granted, NotGranted, Owner, Registry
from .tokens import Token, Tokens

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Landlord", "Lettings", "LocalLandlord", "tunnels_max"]

logger = logging.getLogger("hookloop.relay")


class Landlord(Protocol):
    """What a link asks about names. None of these may raise."""

    def bind(self, link: "Link", bind: Bind) -> None:
        """Answer, now or soon, by `Link.grant` or `Link.refuse`."""
        ...

    def unbind(self, link: "Link", name: str) -> None: ...

    def lost(self, link: "Link", *, is_held: bool) -> None:
        """The link is gone; *is_held*: its names wait for its owner."""
        ...


class Lettings(Landlord, Protocol):
    """What the relay asks beside that."""

    namespace: Namespace

    def __len__(self) -> int:
        """Return how many names lead to a link of this process."""
        ...

    def find(self, host: str) -> "Found[Link] | None":
        """Return where *host* leads."""
        ...

    def is_reserved(self, host: str) -> bool:
        """Say whether a token has *host* for its own, so that an agent may come for it."""
        ...


class LocalLandlord:
    """The landlord of a relay that is one process."""

    def __init__(
        self,
        config: RelayConfig,
        tokens: Callable[[], Tokens],
        tunnel_url: Callable[[str, str], str],
        *,
        counts: Counts,
        clock: Clock,
        random: RandomSource,
    ) -> None:
        """*tokens* returns those of the moment; *tunnel_url* makes one of host and protocol."""
        self.namespace = Namespace(*config.domains, reserved=config.reserved_names)
        self._limits = config.limits
        self._tokens = tokens
        self._tunnel_url = tunnel_url
        self._counts = counts
        self._clock = clock
        self._random = random
        self._registry: Registry[Link] = Registry(
            self.namespace,
            hold_seconds=config.hold_seconds,
            tunnels_per_agent_max=config.limits.tunnels_per_agent_max,
        )

    def __len__(self) -> int:
        return len(self._registry)

    def find(self, host: str) -> "Found[Link] | None":
        """Return where *host* leads."""
        return self._registry.find(host, now=self._clock.monotonic())

    def is_reserved(self, host: str) -> bool:
        """Say whether a token has *host* for its own, so that an agent may come for it."""
        place = self.namespace.place(host)
        return place is not None and self._tokens().is_reserved(place)

    # --- Landlord -----------------------------------------------------------------------------

    def bind(self, link: "Link", bind: Bind) -> None:
        answer = self._bind(link, bind)
        if isinstance(answer, NotGranted):
            self._counts.names_refused[answer.code] += 1
            link.refuse(bind, answer.code, answer.message)
            return
        link.grant(bind, answer.place.name, self._tunnel_url(answer.place.host, bind.protocol))
        if answer.replaced is not None:
            answer.replaced.make_way()

    def unbind(self, link: "Link", name: str) -> None:
        self._registry.unbind(name, link)
        logger.info("tunnel given back %s", Values(tunnel=name, token=link.token.id))

    def lost(self, link: "Link", *, is_held: bool) -> None:
        self._registry.release(link, now=self._clock.monotonic(), is_held=is_held)

    # --- inside -------------------------------------------------------------------------------

    def _bind(self, link: "Link", bind: Bind) -> "Granted[Link] | NotGranted":
        if bind.protocol not in {"http", "tls"}:
            return NotGranted("bad_protocol", "this relay carries http, tls and tcp tunnels")
        tokens, token = self._tokens(), link.token
        return self._registry.bind(
            bind.name,
            Owner(token.id, link.agent_id),
            link,
            now=self._clock.monotonic(),
            random=self._random,
            may_have=lambda place: tokens.may_have(token, place),
            tunnels_max=tunnels_max(token, self._limits.tunnels_per_token_max),
            protocol=bind.protocol,
        )


def tunnels_max(token: Token, limit: int) -> int:
    """Return how many names all agents of *token* may have together."""
    return limit if token.tunnels_max is None else min(token.tunnels_max, limit)
