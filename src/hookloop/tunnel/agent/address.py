"""Where the local service is: a port, a URL, a socket file or a folder."""

import re
from dataclasses import dataclass
from pathlib import Path

from hookloop.errors import ConfigError

__all__ = ["Folder", "Upstream", "parse_target", "parse_upstream"]

PORT_MAX = 65535
_DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?", re.ASCII
)
_FOLDER = re.compile(r"\.{0,2}/|~|\.{1,2}$|[A-Za-z]:[\\/]|\\\\|\.{0,2}\\")
_EXAMPLES = (
    "give its port, as in 3000, or host:port, https://host:port, unix:/path.sock or ./folder"
)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The local service, as the agent connects to it."""

    host: str
    port: int
    scheme: str = "http"
    """``http`` or ``https``; ``tcp`` where its bytes are passed on unread."""
    socket_path: str | None = None
    """A Unix socket's file, in place of host and port."""
    is_verified: bool = True
    """Whether its certificate must be one that a browser would take."""
    ca_file: str | None = None
    """Certificates to trust for it beside the machine's own, in PEM."""
    shown: str = ""
    """What to call it, where its address says nothing to a reader."""

    def __str__(self) -> str:
        if self.shown:
            return self.shown
        if self.socket_path is not None:
            return f"unix:{self.socket_path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def authority(self) -> str:
        """What the service knows itself by: its Host."""
        if self.socket_path is not None:
            return "localhost"
        host = "localhost" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104  # not bound, only read
        host = f"[{host}]" if ":" in host else host
        is_default = _DEFAULT_PORTS.get(self.scheme) == self.port
        return host if is_default else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """What a page of the service has as its Origin."""
        scheme = "https" if self.scheme == "https" else "http"
        return f"{scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Folder:
    """Files to serve, in place of a service."""

    path: Path


def parse_target(
    text: str, *, is_verified: bool = True, ca_file: str | None = None
) -> Upstream | Folder:
    """
    Read what `parse_upstream` reads, or a folder: ``./public``, ``file:///srv/www``, ``~/site``.

    Raises `ConfigError` for anything else.
    """
    if text.startswith("file://"):
        return Folder(Path(text.removeprefix("file://")))
    # A bare word is a folder only where there is one: `hookloop http public`.
    if _FOLDER.match(text) or (not text.isdecimal() and ":" not in text and Path(text).is_dir()):
        return Folder(Path(text).expanduser())
    return parse_upstream(text, is_verified=is_verified, ca_file=ca_file)


def parse_upstream(text: str, *, is_verified: bool = True, ca_file: str | None = None) -> Upstream:
    """
    Read ``3000``, ``host:3000``, ``http://host:3000``, ``https://host`` or ``unix:/path.sock``.

    Raises `ConfigError` for anything else.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        if not path:
            raise ConfigError(f"{text!r} is not a local service: {_EXAMPLES}")
        return Upstream("localhost", 80, socket_path=str(Path(path).expanduser()))
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    rest = rest.rstrip("/")
    if rest.isdecimal() and rest.isascii():
        rest = f"localhost:{rest}"
    match = _AUTHORITY.fullmatch(rest)
    if match is None or scheme not in {"", "http", "https"}:
        raise ConfigError(f"{text!r} is not a local service: {_EXAMPLES}")
    port = int(match["port"]) if match["port"] else _DEFAULT_PORTS.get(scheme, 0)
    if not 0 < port <= PORT_MAX:
        raise ConfigError(f"{text!r} is not a local service: {_EXAMPLES}")
    if not scheme:
        scheme = "https" if port == _DEFAULT_PORTS["https"] else "http"
    return Upstream(
        match["host"].strip("[]"), port, scheme, is_verified=is_verified, ca_file=ca_file
    )
