"""The options of `hookloop relay` about TLS, and the settings they make."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hookloop.errors import ConfigError

if TYPE_CHECKING:
    from hookloop.tunnel.relay.tls_settings import TlsSettings

__all__ = [
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
    "acme_names",
    "on_hangup",
    "tls_settings",
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


def acme_names(
    given: list[str] | None, relay_domains: list[str], *, has_hook: bool
) -> tuple[tuple[str, ...], ...]:
    """Return the names of each certificate to fetch."""
    if given:
        return tuple(tuple(name.strip().lower() for name in one.split(",")) for one in given)
    if has_hook:
        return tuple((domain, f"*.{domain}") for domain in relay_domains)
    return tuple((domain,) for domain in relay_domains)


def tls_settings(
    *,
    cert: list[Path] | None,
    key: list[Path] | None,
    directories: list[Path] | None,
    http_port: int | None,
    relay_domains: list[str],
    acme_email: str | None,
    acme_agree_tos: bool,
    acme_directory: str,
    acme_domain: list[str] | None,
    acme_dns_hook: str | None,
    acme_dns_seconds: float,
    acme_folder: Path,
    acme_ca_file: Path | None,
) -> "TlsSettings | None":
    """Return the settings, or None for a relay without TLS. Raises `ConfigError`."""
    from hookloop.tunnel.relay.acme_settings import AcmeSettings
    from hookloop.tunnel.relay.tls_settings import CertificateFiles, TlsSettings

    certs, keys = cert or [], key or []
    if len(certs) != len(keys):
        raise ConfigError(
            f"{len(certs)} --tls-cert and {len(keys)} --tls-key: each certificate has one key"
        )
    if acme_email is None and (acme_agree_tos or acme_domain or acme_dns_hook):
        raise ConfigError("certificates by ACME want --acme-email too")
    is_wanted = certs or directories or acme_email is not None
    if not is_wanted:
        if http_port is not None:
            raise ConfigError("--http-port leads to https: give --tls-cert and --tls-key, or ACME")
        return None
    acme = None
    if acme_email is not None:
        acme = AcmeSettings(
            names=acme_names(acme_domain, relay_domains, has_hook=acme_dns_hook is not None),
            folder=acme_folder.expanduser(),
            email=acme_email,
            is_tos_agreed=acme_agree_tos,
            directory_url=acme_directory,
            dns_hook=acme_dns_hook,
            dns_seconds=acme_dns_seconds,
            ca_file=acme_ca_file,
        )
    return TlsSettings(
        files=tuple(map(CertificateFiles, certs, keys)),
        directories=tuple(directories or ()),
        acme=acme,
        http_port=http_port,
    )


def on_hangup(reload: Callable[[], None], end: Callable[[], object]) -> None:
    """
    From now on SIGHUP reloads, as daemons do, unless it says that our terminal is gone.

    That is its other meaning, and a relay that someone started by hand ends with the terminal.
    """
    if sys.platform == "win32":
        return
    # Under nohup SIGHUP is to be ignored; asyncio's own handler would say SIG_DFL here.
    ends = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()

    def hung_up() -> None:
        if ends and not _has_terminal():
            end()
        else:
            reload()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up)


def _has_terminal() -> bool:
    try:
        with Path("/dev/tty").open("rb"):
            return True
    except OSError:
        return False
