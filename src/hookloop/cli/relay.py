"""`hookloop relay`: the public side of the tunnel."""

import asyncio
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookloop.errors import ConfigError

from .announcer import Announcer
from .relay_options import (
    DEFAULT_DOMAIN,
    DEFAULT_PORT,
    AccessLogOption,
    AdminOption,
    AllowCatchOption,
    ConfigOption,
    DomainOption,
    DrainSecondsOption,
    HostOption,
    LogFormatOption,
    PortOption,
    ProxyProtocolOption,
    PublicUrlOption,
    TcpPortsOption,
    TokenOption,
    TokensOption,
    TrustedProxyOption,
    WorkersOption,
)
from .relay_token import token as token_commands
from .runner import reporting_errors, run
from .tls_options import (
    ACME_FOLDER,
    LETS_ENCRYPT,
    AcmeAgreeTos,
    AcmeCaFile,
    AcmeDirectory,
    AcmeDnsHook,
    AcmeDnsSeconds,
    AcmeDomain,
    AcmeEmail,
    AcmeFolder,
    HttpPort,
    TlsCert,
    TlsDir,
    TlsKey,
    TlsOptions,
    on_hangup,
)

if TYPE_CHECKING:
    from hookloop.tunnel.relay import RelayConfig

__all__ = ["relay"]

relay = typer.Typer(help="Run a relay: callers and agents meet on its one port.")
relay.add_typer(token_commands, name="token")


@relay.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    config: ConfigOption = None,
    domain: DomainOption = None,
    port: PortOption = None,
    host: HostOption = None,
    token: TokenOption = None,
    tokens: TokensOption = None,
    public_url: PublicUrlOption = None,
    trusted_proxy: TrustedProxyOption = None,
    proxy_protocol: ProxyProtocolOption = None,
    tcp_ports: TcpPortsOption = None,
    admin: AdminOption = None,
    drain_seconds: DrainSecondsOption = None,
    allow_catch: AllowCatchOption = None,
    log_format: LogFormatOption = None,
    access_log: AccessLogOption = None,
    workers: WorkersOption = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_dir: TlsDir = None,
    http_port: HttpPort = None,
    acme_email: AcmeEmail = None,
    acme_agree_tos: AcmeAgreeTos = False,
    acme_directory: AcmeDirectory = LETS_ENCRYPT,
    acme_domain: AcmeDomain = None,
    acme_dns_hook: AcmeDnsHook = None,
    acme_dns_seconds: AcmeDnsSeconds = 30.0,
    acme_dir: AcmeFolder = ACME_FOLDER,
    acme_ca_file: AcmeCaFile = None,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """Run a relay: callers and agents meet on its one port."""
    if context.invoked_subcommand is not None:
        return
    given: dict[str, Any] = {
        "port": port,
        "host": host,
        "tokens": tuple(token) if token else None,
        "tokens_file": tokens,
        "public_url": public_url,
        "proxy_protocol": proxy_protocol,
        "drain_seconds": drain_seconds,
        "catch_folder": allow_catch,
        "log_format": log_format,
        "access_log": access_log,
        "tcp_ports": tcp_ports,
        "workers": workers,
        **_domains(domain or []),
    }
    files = (tls_cert, tls_key, tls_dir, http_port)
    acme = (acme_email, acme_agree_tos, acme_directory, acme_domain)
    proof = (acme_dns_hook, acme_dns_seconds, acme_dir, acme_ca_file)
    tls = TlsOptions(*files, *acme, *proof)
    with reporting_errors():
        given |= _admin_address(admin) if admin is not None else {}
        settings, made = _settings(config, given, trusted_proxy or [], tls)
    _run(settings, made, Announcer(as_json=json))


def _run(settings: "RelayConfig", made: str | None, announcer: Announcer) -> None:
    from .relay_log import relay_log

    _allow_files()
    with relay_log(settings.log_format, settings.log_level):
        run(_relay(settings, made, announcer))


def _allow_files() -> None:
    """Take all the file descriptors one may have: many systems begin with 1,024."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):  # macOS says "unlimited" and means less
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _domains(domains: list[str]) -> dict[str, Any]:
    return {"domain": domains[0], "more_domains": tuple(domains[1:])} if domains else {}


def _settings(
    path: Path | None, given: dict[str, Any], proxies: list[str], tls: TlsOptions
) -> "tuple[RelayConfig, str | None]":
    """Return the settings, and the token that was made since there is none."""
    from hookloop.tunnel.relay import RelayConfig
    from hookloop.tunnel.relay.config import parse_network
    from hookloop.tunnel.relay.config_file import read_config_file
    from hookloop.tunnel.relay.raw_settings import RawSettings
    from hookloop.tunnel.relay.tokens import new_token

    settings: dict[str, Any] = {"domain": DEFAULT_DOMAIN, "port": DEFAULT_PORT}
    settings |= read_config_file(path) if path else {}
    settings |= {name: value for name, value in given.items() if value is not None}
    if proxies:
        settings["trusted_proxies"] = tuple(map(parse_network, proxies))
    if (ports := settings.pop("tcp_ports", None)) is not None:
        settings["raw"] = replace(settings.get("raw", RawSettings()), tcp_ports=ports)
    if by_options := tls.settings([settings["domain"], *settings.get("more_domains", ())]):
        settings["tls"] = by_options
    made = None
    if not settings.get("tokens") and not settings.get("tokens_file"):
        made = new_token(SystemRandom())
        settings["tokens"] = (made,)
    return RelayConfig(**settings), made


def _admin_address(text: str) -> dict[str, Any]:
    host, colon, port = text.rpartition(":")
    if not port.isdecimal() or not port.isascii() or (colon and not host):
        raise ConfigError(f"{text!r} is no address for --admin: give HOST:PORT or a port")
    return {"admin_host": host.strip("[]") or "127.0.0.1", "admin_port": int(port)}


async def _relay(config: "RelayConfig", made: str | None, announcer: Announcer) -> None:
    from hookloop.tunnel.relay import running_relay

    if config.workers > 1:
        await _relay_of_workers(config, made, announcer)
        return
    async with running_relay(config) as running:
        if running.tls is not None:
            on_hangup(running.tls.reload_soon, asyncio.current_task())
        addresses = (running.url, running.tunnel_url("NAME"), running.admin_url)
        _announce(announcer, addresses, made, config)
        await asyncio.Event().wait()


async def _relay_of_workers(config: "RelayConfig", made: str | None, announcer: Announcer) -> None:
    from hookloop.tunnel.relay.supervisor import running_supervisor

    command = (sys.executable, "-m", "hookloop.cli.relay_worker")
    async with running_supervisor(config, command) as running:
        if config.tls is not None:
            on_hangup(running.reload_soon, asyncio.current_task())
        _announce(announcer, (running.url, running.tunnels_url, running.admin_url), made, config)
        await asyncio.Event().wait()


def _announce(
    announcer: Announcer,
    addresses: tuple[str, str, str | None],
    made: str | None,
    config: "RelayConfig",
) -> None:
    url, tunnels, admin = addresses
    announcer.fact("relay", url)
    announcer.fact("tunnels", tunnels)
    for domain in config.more_domains:
        announcer.fact("also", tunnels.replace(f".{config.domain}", f".{domain}", 1))
    if admin:
        announcer.fact("admin", admin)
    if made:
        announcer.fact("token", made, "(for this run; keep one in HOOKLOOP_TOKEN)")
    announcer.note(
        f"\nNext, beside your app:  hookloop http 3000 --relay {config.public_url or url} "
        f"--token {made or 'TOKEN'}\nCtrl+C ends it."
    )
