"""
Where ACME's keys and certificates are kept: files that only their owner may read.

    FOLDER/acme-v02.api.letsencrypt.org-1a2b3c4d/   one for each certificate authority
        account.pem  account.json
        certificates/tun.example.pem                key and chain in one file
        challenges/TOKEN                            while a proof by http-01 is under way

A certificate and its key change together, in one rename, whenever the power fails.
"""

import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["AcmeStore"]

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")  # base64url, and so no path
OWNER_FILE = 0o600
OWNER_FOLDER = 0o700


class AcmeStore:
    """The files of one certificate authority. Raises `OSError` where they cannot be had."""

    def __init__(self, folder: Path, directory_url: str) -> None:
        digest = hashlib.sha256(directory_url.encode()).hexdigest()[:8]
        # What staging gave is never taken for the real thing.
        self._folder = folder / f"{urlsplit(directory_url).hostname}-{digest}"
        self.certificates = self._folder / "certificates"
        """For `Certificates` to watch."""
        self._challenges = self._folder / "challenges"
        for folder in (self.certificates, self._challenges):
            folder.mkdir(mode=OWNER_FOLDER, parents=True, exist_ok=True)

    def certificate_path(self, names: tuple[str, ...]) -> Path:
        """Return where the certificate for *names* is, or will be."""
        # Two certificates may begin with one name, and do not take each other's place.
        first = names[0].replace("*", "_wildcard")
        if len(names) == 1:
            return self.certificates / f"{first}.pem"
        digest = hashlib.sha256(",".join(sorted(names)).encode()).hexdigest()[:8]
        return self.certificates / f"{first}-{digest}.pem"

    def save_certificate(self, names: tuple[str, ...], *, key_pem: bytes, chain_pem: bytes) -> None:
        _write(self.certificate_path(names), key_pem + chain_pem)

    def challenge(self, token: str) -> str | None:
        """
        Return what to answer to a challenge of http-01, or None where there is none of *token*.

        It is a file, since the question may come to another process of the relay than asked.
        """
        if not _TOKEN.fullmatch(token):
            return None
        try:
            return (self._challenges / token).read_text()
        except FileNotFoundError:
            return None

    def show_challenge(self, token: str, answer: str) -> None:
        if not _TOKEN.fullmatch(token):
            raise ValueError(f"the authority's token {token!r} is none")
        _write(self._challenges / token, answer.encode())

    def hide_challenge(self, token: str) -> None:
        if _TOKEN.fullmatch(token):
            (self._challenges / token).unlink(missing_ok=True)

    @contextmanager
    def claimed(self) -> Iterator[bool]:
        """Say for the length of a with-block whether the store is ours, and no other process's."""
        handle = os.open(self._folder / "lock", os.O_WRONLY | os.O_CREAT, OWNER_FILE)
        with os.fdopen(handle, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def account_key(self) -> bytes | None:
        """Return the PEM of the account's key, or None when there is none yet."""
        try:
            return (self._folder / "account.pem").read_bytes()
        except FileNotFoundError:
            return None

    def save_account_key(self, key_pem: bytes) -> None:
        _write(self._folder / "account.pem", key_pem)

    def account_url(self) -> str | None:
        """Return what the authority knows the account by, or None when it is not registered."""
        try:
            url = json.loads((self._folder / "account.json").read_bytes())["url"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return url if isinstance(url, str) else None

    def save_account_url(self, url: str) -> None:
        _write(self._folder / "account.json", json.dumps({"url": url}).encode())

    def forget_account(self) -> None:
        """The authority does not know the account: register its key again."""
        (self._folder / "account.json").unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    """Put *data* in the place of *path*, whole or not at all."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_FILE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
