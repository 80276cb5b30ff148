"""What a tunnel lets through and what it changes on the way: its settings, checked."""

import hashlib
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network

from hookloop.errors import ConfigError
from hookloop.exchange import Headers

from .guard import Guard

__all__ = [
    "PRESERVE",
    "REWRITE",
    "Credential",
    "Network",
    "Policy",
    "parse_credential",
    "parse_field",
    "parse_field_name",
    "parse_host_header",
    "parse_network",
]

Network = IPv4Network | IPv6Network

REWRITE = "rewrite"
PRESERVE = "preserve"
PASSWORD_CHARS_MIN = 8  # as ngrok: the address is public, and nobody counts the tries
FIELD_BYTES_MAX = 8 * 1024  # of one header field; nginx and node take as much of all together
FIELDS_MAX = 64  # of one kind; the wire carries 128 in all

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)  # RFC 9110 section 5.6.2
_VALUE = re.compile(r"[\x20-\x7e\x80-\xff\t]*")
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", re.ASCII)
# They say where a message ends or what a connection does next: that is the tunnel's to say.
_FRAMING = frozenset(
    {
        *("connection", "content-length", "expect", "keep-alive", "proxy-connection", "te"),
        *("trailer", "transfer-encoding", "upgrade"),
    }
)


@dataclass(frozen=True, slots=True)
class Credential:
    """A user and a password, kept as a digest: so it cannot be printed, only compared."""

    user: str
    digest: bytes = field(repr=False)

    @staticmethod
    def digest_of(userpass: bytes) -> bytes:
        return hashlib.sha256(userpass).digest()


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How a tunnel treats requests and answers; by default it changes only the Host.

    The Host an upstream is shown is its own address, since development servers refuse any
    other; the public one is in X-Forwarded-Host.
    """

    host_header: str = REWRITE
    """``rewrite``: the upstream's own address; ``preserve``: what the caller sent; or a value."""
    origin: str | None = None
    """
    ``rewrite`` or ``preserve``; without it as *host_header*.

    Rewritten is only the tunnel's own origin, so that a page's own requests are still its own
    to an app that compares Origin with Host; anybody else's stays what it is.
    """
    basic_auth: tuple[Credential, ...] = ()
    allow: tuple[Network, ...] = ()
    """Callers from elsewhere are refused; none here lets everybody in."""
    deny: tuple[Network, ...] = ()
    """Refused even where *allow* has them."""
    request_add: Headers = ()
    request_remove: tuple[bytes, ...] = ()
    """In lower case; removed before *request_add* adds, so that both together replace."""
    response_add: Headers = ()
    response_remove: tuple[bytes, ...] = ()
    guard: Guard | None = None
    """Looks at whole requests before the upstream does."""

    def __post_init__(self) -> None:
        if self.origin not in {None, REWRITE, PRESERVE}:
            raise ConfigError(f"the origin is {self.origin!r}: use {REWRITE} or {PRESERVE}")
        parse_host_header(self.host_header)
        for what in ("request_add", "request_remove", "response_add", "response_remove"):
            if len(getattr(self, what)) > FIELDS_MAX:
                raise ConfigError(f"{what} has over {FIELDS_MAX} header fields")


def parse_host_header(text: str) -> str:
    """Return *text* where it can be a Host; raise `ConfigError` elsewhere."""
    if text in {REWRITE, PRESERVE} or _HOST.fullmatch(text):
        return text
    raise ConfigError(
        f"{text!r} cannot be a Host header: use {REWRITE}, {PRESERVE}, or a host such as "
        "shop.test or localhost:3000"
    )


def parse_credential(text: str) -> Credential:
    """Read ``user:password``. Raises `ConfigError`, without the password."""
    user, separator, password = text.partition(":")
    if not separator or not user:
        raise ConfigError("basic auth is user:password, and one given has no user or no colon")
    if len(password) < PASSWORD_CHARS_MIN:
        raise ConfigError(
            f"the password of {user!r} has under {PASSWORD_CHARS_MIN} characters: the address is "
            "public, so take a longer one"
        )
    return Credential(user, Credential.digest_of(text.encode()))


def parse_network(text: str) -> Network:
    """Read ``203.0.113.0/24``, ``203.0.113.9`` or an IPv6 one. Raises `ConfigError`."""
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no network: give an address or a range such as 203.0.113.0/24"
        ) from None


def parse_field(text: str) -> tuple[bytes, bytes]:
    """Read ``Name: value``. Raises `ConfigError`, without the value: it may be a secret."""
    name, separator, value = text.partition(":")
    if not separator:
        raise ConfigError(f"a header field is 'Name: value', and {name[:80]!r} has no colon")
    name, value = name.strip(), value.strip()
    _check_name(name)
    if not _VALUE.fullmatch(value) or len(value) > FIELD_BYTES_MAX:
        raise ConfigError(
            f"the value of {name!r} has characters no header field can carry, or is over "
            f"{FIELD_BYTES_MAX} bytes"
        )
    return name.encode(), value.encode("latin-1")


def parse_field_name(text: str) -> bytes:
    """Return a field's name in lower case. Raises `ConfigError` for none, or one of framing."""
    name = text.strip()
    _check_name(name)
    return name.lower().encode()


def _check_name(name: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise ConfigError(f"{name[:80]!r} is no name of a header field")
    if name.lower() in _FRAMING:
        raise ConfigError(
            f"the field {name!r} says how the message is framed, which the tunnel does: "
            "it cannot be added or removed"
        )
    if name.lower() == "host":
        raise ConfigError("the Host is set by host_header (--host-header), not as a field")
