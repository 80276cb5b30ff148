"""Certificates for tests: an authority of our own, and what it signs, as files."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from hookloop.tunnel.relay.tls_settings import CertificateFiles


class Authority:
    """Signs certificates; clients that have its own as a file trust them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca_file))

    def issue(self, stem: str, *names: str, days: float = 90) -> CertificateFiles:
        """Write a certificate for *names* and its key; one more of the same stem replaces it."""
        now = datetime.now(UTC)
        issued = self._ca.issue_cert(
            *names, not_before=now - timedelta(days=90), not_after=now + timedelta(days=days)
        )
        files = CertificateFiles(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        files.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        files.key.touch(mode=0o600)
        files.key.write_bytes(issued.private_key_pem.bytes())
        return files

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)
