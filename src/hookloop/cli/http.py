"""`hookloop http`: a public URL for a local service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated

import typer

from hookloop.tunnel.wire.handshake import Carriage

from .announcer import Announcer
from .runner import run
from .trust_options import CaFile, SkipVerify, trust_of

if TYPE_CHECKING:
    from hookloop.exchange import Exchange
    from hookloop.tunnel.agent import Tunnel
    from hookloop.tunnel.agent.trust import Trust

__all__ = ["http"]

LOCAL_DOMAIN = "tun.localhost"


def http(
    upstream: Annotated[
        str, typer.Argument(help="The local service: its port, or host:port.", metavar="PORT")
    ],
    relay: Annotated[
        str | None,
        typer.Option(
            envvar="HOOKLOOP_RELAY",
            help="The relay's address. Without one, a relay is started on this machine.",
        ),
    ] = None,
    token: Annotated[
        str, typer.Option(envvar="HOOKLOOP_TOKEN", help="What the relay's owner gave you.")
    ] = "",
    name: Annotated[
        str | None, typer.Option(help="The tunnel's name: NAME.tun.example.com.")
    ] = None,
    via: Annotated[
        Carriage | None,
        typer.Option(
            help="How to reach the relay: its own upgrade, or WebSocket for proxies that pass "
            "nothing else. Without it, the one that passes."
        ),
    ] = None,
    ca_file: CaFile = None,
    insecure_skip_verify: SkipVerify = False,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """Give a local service a public URL, and show each request that comes in."""
    trust = trust_of(ca_file, is_skipped=insecure_skip_verify)
    run(_http(upstream, relay, token, name, via, trust, Announcer(as_json=json)))


async def _http(
    upstream: str,
    relay: str | None,
    token: str,
    name: str | None,
    via: Carriage | None,
    trust: "Trust",
    announcer: Announcer,
) -> None:
    from hookloop.tunnel.agent import AgentConfig, TunnelConfig, running_agent
    from hookloop.tunnel.agent.config import parse_upstream

    target = parse_upstream(upstream)
    async with _relay_or_own(relay, token) as (relay_url, relay_token, is_local):
        tunnels = (TunnelConfig(target, name),)
        config = AgentConfig(relay_url, relay_token, tunnels, via=via, trust=trust)
        watcher = _Watcher(announcer, str(target))
        async with running_agent(config, sink=watcher, observer=watcher):
            if is_local:
                announcer.note(
                    "This URL is local: only programs on this machine can reach it. For a public "
                    "one run\n`hookloop relay` on a server and pass --relay."
                )
            announcer.note("Ctrl+C ends it.\n")
            await asyncio.Event().wait()


@asynccontextmanager
async def _relay_or_own(relay: str | None, token: str) -> AsyncIterator[tuple[str, str, bool]]:
    """Yield the relay's address, the token, and whether it is one of our own making."""
    if relay is not None:
        yield relay, token, False
        return
    from hookloop.tunnel.relay import RelayConfig, running_relay
    from hookloop.tunnel.relay.tokens import new_token

    own_token = new_token(SystemRandom())
    config = RelayConfig(domain=LOCAL_DOMAIN, tokens=(own_token,), drain_seconds=1.0)
    async with running_relay(config) as running:
        yield running.url, own_token, True


class _Watcher:
    """Tells the announcer how the tunnel fares and what passes through it."""

    def __init__(self, announcer: Announcer, upstream: str) -> None:
        self._announcer = announcer
        self._upstream = upstream
        self._url: str | None = None

    def session_up(self) -> None:
        """Say nothing: its tunnel tells."""

    def tunnel_up(self, tunnel: "Tunnel") -> None:
        url = tunnel.url
        if url == self._url:
            self._announcer.happened("tunnel_up", f"online again at {url}", url=url)
        else:
            self._announcer.fact("forwarding", f"{url} -> {self._upstream}")
        self._url = url

    def session_down(self, reason: str, retry_seconds: float) -> None:
        self._announcer.happened(
            "tunnel_down",
            f"offline: {reason}; trying again in {retry_seconds:.1f} s",
            reason=reason,
            retry_seconds=round(retry_seconds, 3),
        )

    def tunnel_refused(self, tunnel: "Tunnel", retry_seconds: float | None) -> None:
        if retry_seconds is None:
            return  # the command ends with the reason
        self._announcer.happened(
            "tunnel_refused",
            f"offline: {tunnel.refusal}; asking again in {retry_seconds:.1f} s",
            reason=str(tunnel.refusal),
            retry_seconds=retry_seconds,
        )

    def tunnel_removed(self, tunnel: "Tunnel") -> None:
        """Say nothing: nobody removes the only one."""

    def captured(self, exchange: "Exchange") -> None:
        method = exchange.request.method.decode("latin-1")
        target = exchange.request.target.decode("latin-1")
        status = exchange.response.status if exchange.response else None
        outcome = exchange.failure or _phrase(status)
        self._announcer.happened(
            "exchange",
            f"{method:<6} {target:<40} {outcome}   {exchange.duration * 1000:.1f} ms",
            method=method,
            target=target,
            status=status,
            failure=exchange.failure,
            seconds=round(exchange.duration, 6),
        )


def _phrase(status: int | None) -> str:
    try:
        return f"{status} {HTTPStatus(status or 0).phrase}"
    except ValueError:
        return str(status)
