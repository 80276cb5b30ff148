"""Whom the agent believes to be the relay, and what it says when it does not."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from hookloop.errors import ConfigError, RemoteError

__all__ = ["Trust", "UntrustedError", "untrusted"]


class UntrustedError(RemoteError):
    """What answers may be anybody: no token is shown to it."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Which certificates a relay may show."""

    ca_file: Path | None = None
    """Certificates, in PEM, of a private authority, trusted in place of the system's."""
    is_skipped: bool = False
    """Anybody is believed, and may read the token and every exchange: for a test on one's own."""

    def context(self) -> ssl.SSLContext:
        """Return what a TLS connection to the relay uses. Raises `ConfigError` for a bad file."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except ssl.SSLError as error:
            raise ConfigError(f"{self.ca_file} holds no PEM certificate for --ca-file") from error
        except OSError as error:
            raise ConfigError(f"cannot read --ca-file {self.ca_file}: {error.strerror}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if self.is_skipped:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def untrusted(error: ssl.SSLError, host: str) -> UntrustedError | None:
    """Return what to tell a person about a failed handshake with *host*, where it is known."""
    if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        return UntrustedError(f"{host} does not speak TLS on this port: try http:// in its place")
    if not isinstance(error, ssl.SSLCertVerificationError):
        return None
    match error.verify_code:
        case 10:  # X509_V_ERR_CERT_HAS_EXPIRED; the names of the others are as plain
            why = "has expired: its owner must renew it, unless this machine's clock is wrong"
        case 9:
            why = "is not valid yet: is this machine's clock right?"
        case 18 | 19 | 20 | 21:
            why = (
                "is signed by nobody this machine trusts: if the relay has a private certificate "
                "authority, pass its certificate by --ca-file or HOOKLOOP_CA_FILE"
            )
        case 62 | 64:
            why = f"is not for {host}: use the name that the relay's owner gave you"
        case _:
            why = f"cannot be verified: {error.verify_message}"
    return UntrustedError(f"the certificate that {host} shows {why}")
