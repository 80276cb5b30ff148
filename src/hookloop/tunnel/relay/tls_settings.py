"""The relay's settings for TLS: where certificates come from and what a handshake may take."""

from dataclasses import dataclass, field
from pathlib import Path

from hookloop.errors import ConfigError

from .acme_settings import AcmeSettings

__all__ = ["CertificateFiles", "TlsSettings"]

PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate with its chain, and its key, both PEM."""

    certificate: Path
    """With its chain, so that callers who know only the root can check it."""
    key: Path
    """Its private key, which may stand in the same file."""

    def __str__(self) -> str:
        return str(self.certificate)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Raises `ConfigError` for settings that cannot work."""

    files: tuple[CertificateFiles, ...] = ()
    """The first is shown to callers who name no host, or none that has a certificate."""
    directories: tuple[Path, ...] = ()
    """
    Each holds ``NAME.pem`` or ``.crt`` with ``NAME.key``, a ``NAME.pem`` of both, or is or holds a
    folder of certbot's: ``fullchain.pem`` with ``privkey.pem``.
    """
    acme: AcmeSettings | None = None
    """Certificates that the relay fetches and renews itself."""
    http_port: int | None = None
    """A second, plain port, which sends callers to https and answers http-01; 0: any free."""
    handshake_seconds: float = 10.0
    """From a connection's first moment to its first request's; nginx allows 60."""
    handshakes_max: int = 1024
    """Under way at once; beyond it the oldest, who has had most time, makes room."""
    watch_seconds: float = field(default=5.0)
    """Between two looks at the files; SIGHUP looks at once."""

    def __post_init__(self) -> None:
        if not (self.files or self.directories or self.acme):
            raise ConfigError("TLS wants certificates: give --tls-cert and --tls-key, or ACME")
        if self.http_port is not None and not 0 <= self.http_port <= PORT_MAX:
            raise ConfigError(f"{self.http_port} is no port for --http-port: use 1 to {PORT_MAX}")
        if self.acme is not None and self.acme.dns_hook is None and self.http_port is None:
            raise ConfigError(
                "ACME by http-01 needs --http-port 80, where the certificate authority asks; or "
                "prove the names by DNS with --acme-dns-hook"
            )
        if self.handshakes_max < 1:
            raise ConfigError("a relay that allows no TLS handshake serves nobody")
