"""The options that `hookloop tcp` and `hookloop tls` have in common."""

from typing import Annotated

import typer

__all__ = ["IdleSecondsOption", "ProxyHeaderOption", "RawUpstreamArgument"]

RawUpstreamArgument = Annotated[
    str,
    typer.Argument(
        help="The local service: its port, host:port or unix:/path.sock.", metavar="PORT|ADDRESS"
    ),
]
ProxyHeaderOption = Annotated[
    str | None,
    typer.Option(
        "--proxy-protocol",
        metavar="v1|v2",
        help="Begin each connection with a PROXY header: the caller's address.",
    ),
]
IdleSecondsOption = Annotated[
    float, typer.Option(help="The longest silence of a connection; 0 for any.")
]
