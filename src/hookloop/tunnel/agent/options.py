"""A tunnel in the words of the command line, of hookloop.toml and of `connect`: all text."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from hookloop.errors import ConfigError
from hookloop.tunnel.catch.config import CatchConfig
from hookloop.tunnel.catch.rules import CatchRules

from .address import Folder, Upstream, parse_target
from .config import TunnelConfig
from .guard import Guard
from .policy import (
    REWRITE,
    Policy,
    parse_credential,
    parse_field,
    parse_field_name,
    parse_network,
)

__all__ = ["TunnelOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelOptions:
    """Raises `ConfigError` for what cannot work, as `TunnelConfig` and `Policy` do."""

    upstream: str
    """``3000``, ``host:3000``, a URL, ``unix:/path.sock``, or a folder."""
    name: str | None = None
    label: str = ""
    protocol: str = "http"
    host_header: str = REWRITE
    origin: str | None = None
    basic_auth: tuple[str, ...] = field(default=(), repr=False)
    """``user:password`` each."""
    allow_cidr: tuple[str, ...] = ()
    deny_cidr: tuple[str, ...] = ()
    request_header_add: tuple[str, ...] = field(default=(), repr=False)
    """``Name: value`` each."""
    request_header_remove: tuple[str, ...] = ()
    response_header_add: tuple[str, ...] = field(default=(), repr=False)
    response_header_remove: tuple[str, ...] = ()
    upstream_insecure: bool = False
    """Take any certificate of an https upstream."""
    upstream_ca: str | None = None
    """A file of certificates to trust for it."""
    connect_seconds: float = 10.0
    response_seconds: float = 300.0
    remote_port: float = 0
    """The public port asked for, of a tcp tunnel."""
    proxy_protocol: str | None = None
    """``v1`` or ``v2``: tell the upstream of a tcp or tls tunnel who calls."""
    idle_seconds: float = 0.0
    """The longest silence of a connection of such a tunnel; 0: any."""
    guard: Guard | None = None
    catch: bool = False
    """Keep what comes while the upstream is down."""
    catch_path: tuple[str, ...] = ()
    catch_status: float = 202
    catch_dir: str | None = None

    def __post_init__(self) -> None:
        self.config(Upstream("localhost", 1))  # all that can be wrong is found now
        if isinstance(self.target(), Folder) and self.protocol != "http":
            raise ConfigError(f"a folder is served over http, and not over {self.protocol}")

    def target(self) -> Upstream | Folder:
        """Return what is to be reached; a folder has to be served first."""
        target = parse_target(
            self.upstream, is_verified=not self.upstream_insecure, ca_file=self.upstream_ca
        )
        if self.protocol == "http" or isinstance(target, Folder):
            return target
        return replace(target, scheme="tcp")  # its bytes are passed on unread

    def config(self, upstream: Upstream) -> TunnelConfig:
        """Return the tunnel to *upstream*: what `target` says, or what serves its folder."""
        return TunnelConfig(
            upstream,
            self.name,
            self.label,
            protocol=self.protocol,
            connect_seconds=self.connect_seconds,
            response_seconds=self.response_seconds,
            remote_port=int(self.remote_port),
            proxy_protocol=self.proxy_protocol,
            idle_seconds=self.idle_seconds,
            policy=self._policy(),
            catch=self._catch(),
        )

    def _catch(self) -> CatchConfig | None:
        rules = CatchRules(status=int(self.catch_status), paths=self.catch_path)
        if not self.catch:
            if self.catch_path or self.catch_dir is not None:
                raise ConfigError(
                    "a catch path or folder says how to catch: add --catch (catch = true)"
                )
            return None
        return CatchConfig(rules, None if self.catch_dir is None else Path(self.catch_dir))

    def _policy(self) -> Policy:
        return Policy(
            host_header=self.host_header,
            origin=self.origin,
            basic_auth=tuple(map(parse_credential, self.basic_auth)),
            allow=tuple(map(parse_network, self.allow_cidr)),
            deny=tuple(map(parse_network, self.deny_cidr)),
            request_add=tuple(map(parse_field, self.request_header_add)),
            request_remove=tuple(map(parse_field_name, self.request_header_remove)),
            response_add=tuple(map(parse_field, self.response_header_add)),
            response_remove=tuple(map(parse_field_name, self.response_header_remove)),
            guard=self.guard,
        )
