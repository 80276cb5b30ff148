"""The relay's settings."""

import re
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from hookloop.errors import ConfigError

from .limits import RelayLimits
from .raw_settings import RawSettings
from .tls_settings import TlsSettings

__all__ = ["LOG_FORMATS", "LOG_LEVELS", "PORT_MAX", "RelayConfig", "parse_network"]

_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}", re.ASCII)
_PUBLIC_URL = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?")
PORT_MAX = 65535
WORKERS_MAX = 64  # each pair of them has a connection
LOG_FORMATS = ("text", "logfmt", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """Raises `ConfigError` for settings that cannot work."""

    domain: str
    """
    Tunnels are the names below it: ``tun.example`` serves ``shop.tun.example``. The first
    ``--domain``; an agent that asks for ``shop`` gets it here.
    """
    tokens: tuple[str, ...] = field(default=(), repr=False)
    """What agents must show, in the clear: for a relay of one's own. Others use `tokens_file`."""
    host: str = "127.0.0.1"
    """The address to listen on; ``0.0.0.0`` or ``::`` for all of them."""
    port: int = 0
    """Where callers and agents connect. 0: any free port."""
    public_url: str | None = None
    """How callers reach the relay where that differs, as behind a TLS proxy: ``https://tun.example``."""
    drain_seconds: float = 25.0
    """How long exchanges may go on after the relay was told to stop; supervisors wait 30."""
    unready_seconds: float = 0.0
    """
    How long the relay goes on taking all before that, once it says it is not ready: as long as
    your load balancer needs to notice.
    """
    more_domains: tuple[str, ...] = ()
    """Further domains with names below them; an agent asks for ``shop.eu.example`` in full."""
    reserved_names: tuple[str, ...] = ()
    """Names below the domains that nobody may bind, beside ``www``, ``api`` and the like."""
    tokens_file: Path | None = None
    """Hashed tokens, as ``hookloop relay token create`` writes them; read again when it changes."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """
    Proxies before the relay whose X-Forwarded-* are believed and added to; those of all others
    are replaced.
    """
    proxy_protocol: bool = False
    """Each connection begins with a PROXY header, version 1 or 2, of a trusted proxy."""
    hold_seconds: float = 60.0
    """A name waits so long for its owner after its agent was lost: a laptop that wakes finds it."""
    return_seconds: float = 60.0
    """
    After a start, a name that no agent has bound is answered 503 for so long, and not 404: whoever
    had it before a restart is on the way back, and a sender may give up on a 4xx for good.
    """
    agent_wait_seconds: float = 5.0
    """
    A request for a name whose agent was lost, or may be on its way back after a start, waits so
    long for it before it is answered 503: an agent that changes relays is away for less. 0: not.
    """
    admin_host: str = "127.0.0.1"
    """The address of the admin listener, which the public should not reach."""
    admin_port: int | None = None
    """Where metrics, liveness and readiness are; 0 for any free port, None for no such listener."""
    workers: int = 1
    """Processes that share the port, for a machine with several cores."""
    log_format: str = "text"
    """Of the log on standard error: ``text``, ``logfmt`` or ``json``."""
    log_level: str = "info"
    """The least that is logged: ``debug``, ``info``, ``warning`` or ``error``."""
    access_log: bool = False
    """A line for each exchange, when it has ended."""
    catch_folder: Path | None = None
    """
    Where webhooks are kept for agents that are away and have asked for it; None: nowhere, and
    their senders are told that the agent is offline.
    """
    limits: RelayLimits = field(default_factory=RelayLimits)
    """What callers and agents may take."""
    tls: TlsSettings | None = None
    """With it the port speaks TLS and nothing else; without, plain HTTP, as behind a proxy."""
    raw: RawSettings = field(default_factory=RawSettings)
    """TCP tunnels, and TLS that is passed through."""

    def __post_init__(self) -> None:
        self._check_domains()
        self._check_numbers()
        for name, known in (("log_format", LOG_FORMATS), ("log_level", LOG_LEVELS)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} is {getattr(self, name)!r}: use {', '.join(known)}")
        if not self.tokens and self.tokens_file is None:
            raise ConfigError("a relay needs at least one token, or anybody could bind its names")
        if self.proxy_protocol and not self.trusted_proxies:
            raise ConfigError(
                "the PROXY protocol is believed of trusted proxies only: name yours with "
                "--trusted-proxy, such as 10.0.0.0/8"
            )

    def _check_domains(self) -> None:
        for domain in self.domains:
            if not _DOMAIN.fullmatch(domain):
                raise ConfigError(
                    f"{domain!r} is not a domain name: give the relay one in lower case, such as "
                    "tun.example.com, or tun.localhost for this machine only"
                )
        if len(set(self.domains)) < len(self.domains):
            raise ConfigError("a domain is given twice")
        if self.public_url is not None and not _PUBLIC_URL.fullmatch(self.public_url):
            raise ConfigError(
                f"{self.public_url!r} is not a public URL: give scheme and host, and no path"
            )

    def _check_numbers(self) -> None:
        for port in (self.port, self.admin_port or 0):
            if not 0 <= port <= PORT_MAX:
                raise ConfigError(f"{port} is not a port: use 1 to {PORT_MAX}, or 0 for any free")
        for name in (
            "drain_seconds",
            "unready_seconds",
            "hold_seconds",
            "return_seconds",
            "agent_wait_seconds",
        ):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} is {getattr(self, name)}: give seconds, 0 or more")
        self._check_workers()

    def _check_workers(self) -> None:
        if self.catch_folder is not None and self.workers > 1:
            raise ConfigError(
                "a relay that catches is one process, which has the file: workers is "
                f"{self.workers}, so set it to 1 or leave catch_folder out"
            )
        if self.workers > 1 and not hasattr(socket, "SO_REUSEPORT"):
            raise ConfigError("workers share a port by SO_REUSEPORT, which is not on this machine")
        if not 1 <= self.workers <= WORKERS_MAX:
            raise ConfigError(f"workers is {self.workers}: use 1 to {WORKERS_MAX}")

    @property
    def domains(self) -> tuple[str, ...]:
        """All of them, the main one first."""
        return (self.domain, *self.more_domains)


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Read an address or a network in CIDR form; raises `ConfigError` for anything else."""
    try:
        return ip_network(text.strip())
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is not a network: give an address, or one such as 10.0.0.0/8 ({error})"
        ) from None
