"""The search for what was signed: every reading of key, body and header, until an HMAC fits."""

import hashlib
import hmac
from dataclasses import dataclass

from .body_readings import BodyReading, body_readings
from .case import Case
from .finding import Finding
from .header_readings import DIGEST_CHARS_MIN, HeaderReading, header_readings
from .known_secrets import KeyReading, key_readings

__all__ = ["HASHED_BYTES_MAX", "Proof", "search"]

HASHED_BYTES_MAX = 256 * 1024 * 1024  # a second of one core, or a quarter with SHA extensions
HMACS_MAX = 20_000  # for small bodies, where the call costs more than the bytes: 0.1 s


@dataclass(frozen=True, slots=True)
class Proof:
    """What was signed, and with what: an HMAC fits."""

    key: KeyReading
    body: BodyReading
    header: HeaderReading

    def findings(self) -> list[Finding]:
        """Return what stands between the request and a good signature; none where it is good."""
        found = (self.body.finding, self.key.finding, self.header.finding)
        return [finding for finding in found if finding is not None]


def search(case: Case) -> Proof | None:
    """
    Return the reading of *case* that fits its signature, or None.

    The request as it is comes first, then one change at a time, then a changed
    body together with a mistyped secret. Bounded by `HASHED_BYTES_MAX` and `HMACS_MAX`.
    """
    headers = list(header_readings(case))
    keys = list(key_readings(case.secrets))
    if not headers or not keys:
        return None
    plain = [key for key in keys if key.finding is None]
    mistyped = [key for key in keys if key.finding is not None]
    budget = _Budget()
    readings = body_readings(case)
    untouched = next(readings)
    found = _fit(plain + mistyped, untouched, headers, budget)
    if found is not None:
        return found
    changed = []
    for reading in readings:
        found = _fit(plain, reading, headers, budget)
        if found is not None:
            return found
        if budget.is_spent:
            return None
        changed.append(reading)
    for reading in changed:
        found = _fit(mistyped, reading, headers, budget)
        if found is not None or budget.is_spent:
            return found
    return None


class _Budget:
    """How much hashing is left."""

    def __init__(self) -> None:
        self._bytes = HASHED_BYTES_MAX
        self._hmacs = HMACS_MAX

    @property
    def is_spent(self) -> bool:
        return self._bytes <= 0 or self._hmacs <= 0

    def spend(self, size: int) -> None:
        self._bytes -= size
        self._hmacs -= 1


def _fit(
    keys: list[KeyReading], body: BodyReading, headers: list[HeaderReading], budget: _Budget
) -> Proof | None:
    for header in headers:
        signed = b"%b.%b" % (header.signed_at.encode(), body.body)
        for key in keys:
            if budget.is_spent:
                return None
            budget.spend(len(signed))
            digest = hmac.digest(key.key, signed, hashlib.sha256).hex()
            # A cut digest is one reading of a mangled header; nothing is let in by it.
            if any(_begins(digest, candidate) for candidate in header.digests):
                return Proof(key, body, header)
    return None


def _begins(digest: str, candidate: str) -> bool:
    return len(candidate) >= DIGEST_CHARS_MIN and digest.startswith(candidate)
