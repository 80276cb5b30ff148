"""The options of `hookloop relay` about TLS, and the settings they make."""

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookloop.errors import ConfigError

if TYPE_CHECKING:
    from hookloop.tunnel.relay.acme_settings import AcmeSettings
    from hookloop.tunnel.relay.tls_settings import TlsSettings

__all__ = [
    "ACME_FOLDER",
    "LETS_ENCRYPT",
    "AcmeAgreeTos",
    "AcmeCaFile",
    "AcmeDirectory",
    "AcmeDnsHook",
    "AcmeDnsSeconds",
    "AcmeDomain",
    "AcmeEmail",
    "AcmeFolder",
    "HttpPort",
    "TlsCert",
    "TlsDir",
    "TlsKey",
    "TlsOptions",
    "on_hangup",
]

PANEL = "TLS"
ACME_PANEL = "Certificates by ACME"
ACME_FOLDER = Path("~/.local/share/hookloop/acme")
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

TlsCert = Annotated[
    list[Path] | None,
    typer.Option(
        "--tls-cert",
        envvar="HOOKLOOP_TLS_CERT",
        help="A certificate with its chain, in PEM; may be given several times.",
        rich_help_panel=PANEL,
    ),
]
TlsKey = Annotated[
    list[Path] | None,
    typer.Option(
        "--tls-key",
        envvar="HOOKLOOP_TLS_KEY",
        help="The key of the --tls-cert of the same place.",
        rich_help_panel=PANEL,
    ),
]
TlsDir = Annotated[
    list[Path] | None,
    typer.Option(
        help="A directory of certificates: NAME.pem with NAME.key, or certbot's live folder.",
        rich_help_panel=PANEL,
    ),
]
HttpPort = Annotated[
    int | None,
    typer.Option(
        help="A plain port besides, which leads to https and answers http-01: 80.",
        rich_help_panel=PANEL,
    ),
]
AcmeEmail = Annotated[
    str | None,
    typer.Option(
        help="Turns ACME on: where the certificate authority writes to.",
        rich_help_panel=ACME_PANEL,
    ),
]
AcmeAgreeTos = Annotated[
    bool,
    typer.Option(
        "--acme-agree-tos",
        help="You agree to the certificate authority's terms.",
        rich_help_panel=ACME_PANEL,
    ),
]
AcmeDirectory = Annotated[
    str,
    typer.Option(help="The ACME directory; its staging one for a try.", rich_help_panel=ACME_PANEL),
]
AcmeDomain = Annotated[
    list[str] | None,
    typer.Option(
        help="Names of one certificate, with commas; may be given several times. Without: the "
        "relay's domains, and with a hook all names below them.",
        rich_help_panel=ACME_PANEL,
    ),
]
AcmeDnsHook = Annotated[
    str | None,
    typer.Option(
        help="A command that adds and removes TXT records: proves names by DNS, also wildcards.",
        rich_help_panel=ACME_PANEL,
    ),
]
AcmeDnsSeconds = Annotated[
    float,
    typer.Option(
        help="How long a record takes to be seen once the hook has ended.",
        rich_help_panel=ACME_PANEL,
    ),
]
AcmeFolder = Annotated[
    Path,
    typer.Option(
        "--acme-dir", help="Where keys and certificates are kept.", rich_help_panel=ACME_PANEL
    ),
]
AcmeCaFile = Annotated[
    Path | None,
    typer.Option(
        help="Certificates to trust of a private authority's own server.",
        rich_help_panel=ACME_PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """What was given on the command line."""

    cert: list[Path] | None
    key: list[Path] | None
    directories: list[Path] | None
    http_port: int | None
    acme_email: str | None
    acme_agree_tos: bool
    acme_directory: str
    acme_domain: list[str] | None
    acme_dns_hook: str | None
    acme_dns_seconds: float
    acme_folder: Path
    acme_ca_file: Path | None

    def settings(self, relay_domains: Sequence[str]) -> "TlsSettings | None":
        """Return the settings they make, or None where none was given. Raises `ConfigError`."""
        from hookloop.tunnel.relay.tls_settings import CertificateFiles, TlsSettings

        certs, keys = self.cert or [], self.key or []
        if len(certs) != len(keys):
            raise ConfigError(
                f"{len(certs)} --tls-cert and {len(keys)} --tls-key: each certificate has one key"
            )
        if not (certs or self.directories or self.acme_email):
            self._check_nothing_is_lost()
            return None
        return TlsSettings(
            files=tuple(map(CertificateFiles, certs, keys)),
            directories=tuple(self.directories or ()),
            acme=self._acme(relay_domains) if self.acme_email else None,
            http_port=self.http_port,
        )

    def _check_nothing_is_lost(self) -> None:
        if self.acme_agree_tos or self.acme_domain or self.acme_dns_hook:
            raise ConfigError("certificates by ACME want --acme-email too")
        if self.http_port is not None:
            raise ConfigError("--http-port leads to https: give --tls-cert and --tls-key, or ACME")

    def _acme(self, relay_domains: Sequence[str]) -> "AcmeSettings":
        from hookloop.tunnel.relay.acme_settings import AcmeSettings

        return AcmeSettings(
            names=self._acme_names(relay_domains),
            folder=self.acme_folder.expanduser(),
            email=self.acme_email or "",
            is_tos_agreed=self.acme_agree_tos,
            directory_url=self.acme_directory,
            dns_hook=self.acme_dns_hook,
            dns_seconds=self.acme_dns_seconds,
            ca_file=self.acme_ca_file,
        )

    def _acme_names(self, relay_domains: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        if self.acme_domain:
            lists = [names.lower().split(",") for names in self.acme_domain]
            return tuple(tuple(name.strip() for name in names) for names in lists)
        if self.acme_dns_hook is not None:
            return tuple((domain, f"*.{domain}") for domain in relay_domains)
        return tuple((domain,) for domain in relay_domains)


def on_hangup(reload: Callable[[], None], command: "asyncio.Task[Any] | None") -> None:
    """
    From now on SIGHUP reloads, as daemons do, unless it says that our terminal is gone.

    That is its other meaning, and a relay that someone started by hand ends with the terminal.
    """
    if sys.platform == "win32":
        return
    # Under nohup SIGHUP is to be ignored; asyncio's own handler would say SIG_DFL here.
    ends = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()

    def hung_up() -> None:
        if ends and command is not None and not _has_terminal():
            command.cancel()
        else:
            reload()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up)


def _has_terminal() -> bool:
    try:
        with Path("/dev/tty").open("rb"):
            return True
    except OSError:
        return False
