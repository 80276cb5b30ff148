"""The relay's settings for certificates by ACME (RFC 8555)."""

import re
from dataclasses import dataclass
from pathlib import Path

from hookloop.errors import ConfigError

__all__ = ["LETS_ENCRYPT", "LETS_ENCRYPT_STAGING", "AcmeSettings"]

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
NAMES_MAX = 100  # of one certificate, at Let's Encrypt

_NAME = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{1,63}", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class AcmeSettings:
    """Raises `ConfigError` for settings that cannot work."""

    names: tuple[tuple[str, ...], ...]
    """One certificate for each: ``(("tun.example", "*.tun.example"),)``."""
    folder: Path
    """Where the account's key and the certificates are kept."""
    email: str
    """Where the certificate authority writes when something is wrong."""
    is_tos_agreed: bool = False
    """You read the authority's terms and agree to them; nobody else can say so for you."""
    directory_url: str = LETS_ENCRYPT
    """Of the certificate authority."""
    dns_hook: str | None = None
    """A command that publishes TXT records; without it names are proven by http-01."""
    ca_file: Path | None = None
    """Which certificates to trust of the authority's own server, where it is a private one."""
    dns_seconds: float = 30.0
    """How long a TXT record takes to be seen, after the hook that made it has ended."""

    def __post_init__(self) -> None:
        if not self.is_tos_agreed:
            raise ConfigError(
                "ACME needs your agreement to the certificate authority's terms: read them at "
                f"{self.directory_url} and pass --acme-agree-tos"
            )
        if not _EMAIL.fullmatch(self.email):
            raise ConfigError(f"{self.email!r} is not an address for --acme-email")
        if not self.directory_url.startswith("https://"):
            raise ConfigError(f"{self.directory_url!r} is no ACME directory: it is an https URL")
        if not self.names:
            raise ConfigError("ACME has no name to get a certificate for: pass --acme-domain")
        for names in self.names:
            self._check(names)

    def _check(self, names: tuple[str, ...]) -> None:
        for name in names:
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"{name!r} is no name to get a certificate for: use a public domain name in "
                    "lower case, or *.NAME for all below it"
                )
            if name.startswith("*") and self.dns_hook is None:
                raise ConfigError(
                    f"a certificate for {name} must be proven by DNS: pass --acme-dns-hook, or "
                    "name each tunnel with --acme-domain"
                )
        if not 0 < len(names) <= NAMES_MAX:
            raise ConfigError(f"a certificate has 1 to {NAMES_MAX} names, not {len(names)}")
