"""`hookloop relay`: the public side of the tunnel."""

import asyncio
from random import SystemRandom
from typing import Annotated

import typer

from .announcer import Announcer
from .runner import run

__all__ = ["relay"]

DEFAULT_PORT = 4400  # unassigned at IANA, and near the inspector's 4040


def relay(
    domain: Annotated[
        str, typer.Option(help="Tunnels are names below it: shop.tun.example.com.")
    ] = "tun.localhost",
    port: Annotated[
        int, typer.Option(help="Where callers and agents connect; 0 for any free port.")
    ] = DEFAULT_PORT,
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 for all of them.")
    ] = "127.0.0.1",
    token: Annotated[
        list[str] | None,
        typer.Option(
            envvar="HOOKLOOP_TOKEN",
            help="What agents must show; may be given several times. Made anew if there is none.",
        ),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(help="How callers reach it behind a TLS proxy: https://tun.example.com."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """Run a relay: callers and agents meet on its one port."""
    run(_relay(domain, port, host, token or [], public_url, Announcer(as_json=json)))


async def _relay(
    domain: str,
    port: int,
    host: str,
    tokens: list[str],
    public_url: str | None,
    announcer: Announcer,
) -> None:
    from hookloop.tunnel.relay import RelayConfig, running_relay
    from hookloop.tunnel.relay.tokens import new_token

    is_made_here = not tokens
    if is_made_here:
        tokens = [new_token(SystemRandom())]
    config = RelayConfig(
        domain=domain, tokens=tuple(tokens), host=host, port=port, public_url=public_url
    )
    async with running_relay(config) as running:
        announcer.fact("relay", running.url)
        announcer.fact("tunnels", running.tunnel_url("NAME"))
        if is_made_here:
            announcer.fact("token", tokens[0], "(for this run; keep one in HOOKLOOP_TOKEN)")
        shown = tokens[0] if is_made_here else "TOKEN"
        announcer.note(
            f"\nNext, beside your app:  hookloop http 3000 --relay {public_url or running.url} "
            f"--token {shown}\nCtrl+C ends it."
        )
        await asyncio.Event().wait()
