"""
The certificates a relay shows: read from files, chosen by server name, read again when they change.

A broken new file never takes a working certificate away: the old one stays, and
the log says so.
"""

import logging
import ssl
import stat
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from hookloop.errors import ConfigError
from hookloop.tunnel.log_values import Values

from .tls_settings import CertificateFiles

__all__ = ["Certificate", "Certificates", "load_certificate"]

logger = logging.getLogger("hookloop.relay")

WARN_BEFORE = timedelta(days=14)  # a person's time to do something; ACME renews long before
FILE_BYTES_MAX = 1024 * 1024  # of PEM; a chain has some KB
CERTIFICATES_MAX = 10_000  # of one directory

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate, ready for handshakes."""

    names: tuple[str, ...]
    """What it is good for, in lower case: ``tun.example``, ``*.tun.example``, addresses."""
    not_before: datetime
    not_after: datetime
    context: ssl.SSLContext


@dataclass(slots=True)
class _Entry:
    files: CertificateFiles
    certificate: Certificate | None = None
    stamp: _Stamp | None = None
    """Of the files when they were last looked at, read or not."""


class Certificates:
    """
    All certificates of a relay.

    `reload` may run in another thread than `context_for`: what is looked up is
    swapped as a whole.
    """

    def __init__(
        self,
        files: Sequence[CertificateFiles],
        directories: Sequence[Path] = (),
        *,
        now: datetime,
    ) -> None:
        """
        Raises `ConfigError` for one of *files* that cannot be used.

        Of *directories*, what cannot be used is left out: they may fill later.
        """
        self._files = tuple(files)
        self._directories = tuple(directories)
        self._entries: dict[CertificateFiles, _Entry] = {}
        self._by_name: dict[str, Certificate] = {}
        self._default: Certificate | None = None
        self._warned_on = now.date() - timedelta(days=1)
        self._lock = threading.Lock()
        """Held by whoever reads files: a signal may ask while the clock does."""
        for pair in self._files:
            stamp = _stamp(pair)
            self._entries[pair] = _Entry(pair, load_certificate(pair), stamp)
        self._index()
        self.reload(now=now)

    @property
    def all(self) -> list[Certificate]:
        """What is shown now."""
        return [entry.certificate for entry in self._entries.values() if entry.certificate]

    def find(self, server_name: str) -> Certificate | None:
        """Return the certificate that is good for *server_name*, or None."""
        by_name = self._by_name
        rest = server_name.partition(".")[2]
        return by_name.get(server_name) or by_name.get(f"*.{rest}")

    def context_for(self, server_name: str | None) -> ssl.SSLContext | None:
        """
        Return what a handshake for *server_name* uses; None where there is no certificate at all.

        A caller who wants another name is shown the default one, as everywhere: it
        says better than an alert what is wrong.
        """
        certificate = self.find(server_name or "") or self._default
        return certificate.context if certificate else None

    def reload(self, *, now: datetime) -> bool:
        """Read again what has changed, and say whether anything did. Never raises."""
        with self._lock:
            is_changed = self._reload()
            if self._warned_on < now.date():  # once a day, and at the start
                self._warned_on = now.date()
                for entry in self._entries.values():
                    _warn_of_expiry(entry, now)
        return is_changed

    def _reload(self) -> bool:
        pairs = list(self._all_files())
        entries = {pair: self._entries.get(pair) or _Entry(pair) for pair in pairs}
        is_changed = entries.keys() != self._entries.keys()
        for pair, entry in entries.items():
            is_changed |= _refresh(entry, _stamp(pair))
        self._entries = entries
        if is_changed:
            self._index()
        return is_changed

    def _all_files(self) -> Iterator[CertificateFiles]:
        yield from self._files
        for directory in self._directories:
            try:
                yield from _pairs_in(directory)
            except OSError as error:  # a disk that is away for a while takes nothing from callers
                values = Values(directory=directory, reason=error)
                logger.error("certificates not looked at, the old ones stay %s", values)  # noqa: TRY400  # no bug of ours
                yield from [pair for pair in self._entries if directory in pair.certificate.parents]

    def _index(self) -> None:
        by_name: dict[str, Certificate] = {}
        for certificate in self.all:
            for name in certificate.names:
                known = by_name.get(name)
                if known is None or known.not_after < certificate.not_after:
                    by_name[name] = certificate
        self._default = next(iter(self.all), None)
        self._by_name = by_name


def load_certificate(files: CertificateFiles) -> Certificate:
    """Raises `ConfigError` for anything but a certificate and the key that belongs to it."""
    for path in (files.certificate, files.key):
        _check_readable(path)
    if files.key.stat().st_mode & stat.S_IROTH:
        logger.warning("key can be read by everybody on this machine %s", Values(file=files.key))
    try:
        leaf = x509.load_pem_x509_certificates(files.certificate.read_bytes())[0]
        names = _names(leaf)
    except ValueError as error:
        raise ConfigError(f"{files.certificate} holds no PEM certificate: {error}") from error
    if not names:
        raise ConfigError(f"the certificate in {files.certificate} is for no DNS name or address")
    return Certificate(
        names=names,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        context=_context(files),
    )


def _context(files: CertificateFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])

    def no_password() -> str:
        # Without this, OpenSSL would ask on the terminal and the relay would hang.
        raise ConfigError(f"the key in {files.key} is encrypted: give one that is not")

    try:
        context.load_cert_chain(files.certificate, files.key, password=no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            why = f"the key is not the one of {files.certificate}"
        else:
            why = (error.reason or "not PEM").lower().replace("_", " ")
        raise ConfigError(f"cannot use the key in {files.key}: {why}") from error
    return context


def _check_readable(path: Path) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if size > FILE_BYTES_MAX:
        raise ConfigError(f"{path} has {size} bytes: that is no PEM file of a certificate")


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()  # a name in the subject alone is good for no client of today
    names = extension.value.get_values_for_type(x509.DNSName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return (*(name.lower() for name in names), *map(str, addresses))


def _pairs_in(directory: Path) -> list[CertificateFiles]:
    """Find what certbot, this relay and people write: see `TlsSettings.directories`."""
    if not directory.is_dir():
        return []
    pairs = []
    for path in [directory, *sorted(directory.iterdir())[:CERTIFICATES_MAX]]:
        if (path / "fullchain.pem").exists() and (path / "privkey.pem").exists():
            pairs.append(CertificateFiles(path / "fullchain.pem", path / "privkey.pem"))
            if path == directory:
                break  # what else certbot puts there are parts of the same
        elif path.suffix in {".pem", ".crt"} and path.is_file():
            key = path.with_suffix(".key")
            pairs.append(CertificateFiles(path, key if key.exists() else path))
    return pairs


def _stamp(files: CertificateFiles) -> _Stamp | None:
    try:
        found = [path.stat() for path in (files.certificate, files.key)]
    except OSError:
        return None
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)


def _refresh(entry: _Entry, stamp: _Stamp | None) -> bool:
    if entry.stamp == stamp:
        return False
    entry.stamp = stamp
    try:
        entry.certificate = load_certificate(entry.files)
    except (ConfigError, OSError) as error:
        kept = "the old one stays" if entry.certificate else "it is not used"
        logger.error("certificate not read, %s %s", kept, Values(reason=error))  # noqa: TRY400  # no traceback: the sentence says it
        return False
    names = ",".join(entry.certificate.names)
    logger.info("certificate read %s", Values(file=entry.files, names=names))
    return True


def _warn_of_expiry(entry: _Entry, now: datetime) -> None:
    if entry.certificate is None or entry.certificate.not_after - now >= WARN_BEFORE:
        return
    not_after = entry.certificate.not_after
    verb = "has expired" if not_after < now else "expires soon"
    logger.warning("certificate %s %s", verb, Values(file=entry.files, on=not_after.date()))
