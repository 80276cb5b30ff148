"""The options of `hookloop relay`, each for a setting of `RelayConfig`; None: not given."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "DEFAULT_DOMAIN",
    "DEFAULT_PORT",
    "AccessLogOption",
    "AdminOption",
    "AllowCatchOption",
    "ConfigOption",
    "DomainOption",
    "DrainSecondsOption",
    "HostOption",
    "LogFormatOption",
    "PortOption",
    "ProxyProtocolOption",
    "PublicUrlOption",
    "TcpPortsOption",
    "TokenOption",
    "TokensOption",
    "TrustedProxyOption",
    "WorkersOption",
]

DEFAULT_DOMAIN = "tun.localhost"
DEFAULT_PORT = 4400  # unassigned at IANA, and near the inspector's 4040

ConfigOption = Annotated[
    Path | None,
    typer.Option(help="A TOML file with any of the settings; the options here override it."),
]
DomainOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Tunnels are names below it: shop.tun.example.com. May be given several times. "
        f"Default: {DEFAULT_DOMAIN}."
    ),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        help=f"Where callers and agents connect; 0 for any free port. Default: {DEFAULT_PORT}."
    ),
]
HostOption = Annotated[
    str | None,
    typer.Option(help="The address to listen on; 0.0.0.0 for all. Default: 127.0.0.1."),
]
TokenOption = Annotated[
    list[str] | None,
    typer.Option(
        envvar="HOOKLOOP_TOKEN",
        help="What agents must show; may be given several times. Made anew if there is none.",
    ),
]
TokensOption = Annotated[
    Path | None,
    typer.Option(
        envvar="HOOKLOOP_TOKENS_FILE",
        help="A file of hashed tokens, made by `hookloop relay token create`.",
    ),
]
PublicUrlOption = Annotated[
    str | None,
    typer.Option(help="How callers reach it behind a TLS proxy: https://tun.example.com."),
]
TrustedProxyOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR",
        help="A proxy before the relay, whose X-Forwarded-* are believed; may be given "
        "several times.",
    ),
]
ProxyProtocolOption = Annotated[
    bool | None,
    typer.Option("--proxy-protocol", help="Trusted proxies begin each connection with PROXY."),
]
AdminOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="Where metrics, liveness and readiness are, if anywhere."
    ),
]
AllowCatchOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Keep webhooks here for agents that are away, where they ask for it with --catch.",
    ),
]
TcpPortsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FIRST-LAST", help="The ports that TCP tunnels are given, such as 20000-20999."
    ),
]
DrainSecondsOption = Annotated[
    float | None,
    typer.Option(help="How long exchanges may go on after SIGTERM. Default: 25."),
]
LogFormatOption = Annotated[str | None, typer.Option(help="text, logfmt or json. Default: text.")]
AccessLogOption = Annotated[
    bool | None, typer.Option("--access-log", help="A log line for each exchange.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(help="Processes that share the port, for several cores. Default: 1."),
]
