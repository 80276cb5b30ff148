"""What the doctor found: a cause, how certain it is, and what to do next."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Certainty", "Finding", "likely", "proved", "ranked", "redacted"]

SECRET_CHARS_MIN = 6  # A shorter "secret" is part of ordinary words; Stripe's have over 30.


# What is a secret by its looks, though nobody configured it: in a path, say.
_LOOKS_SECRET = re.compile(r"\b(whsec|sk|rk)_[A-Za-z0-9_+/=-]{6,}")


class Certainty(IntEnum):
    """How much a finding can be relied on; the smaller, the more certain."""

    PROVED = 0
    """Computed: an HMAC fits, a number differs, an answer says so itself."""
    LIKELY = 1
    """What usually causes this; the request alone cannot prove it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause of a failure. Its sentences hold no secret and nothing of a payload."""

    code: str
    """A fixed word, fit for a script or a search in the documents."""
    certainty: Certainty
    what: str
    """What happened, in a sentence or two."""
    next_step: str
    """What to do about it."""


def proved(code: str, what: str, next_step: str) -> Finding:
    """Return a finding that was computed."""
    return Finding(code, Certainty.PROVED, what, next_step)


def likely(code: str, what: str, next_step: str) -> Finding:
    """Return a finding that is the usual cause of what is seen."""
    return Finding(code, Certainty.LIKELY, what, next_step)


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return *findings*, the certain ones first, and each code once; else their order stays."""
    kept: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda one: one.certainty):
        kept.setdefault(finding.code, finding)
    return tuple(kept.values())


def redacted(findings: Iterable[Finding], secrets: Iterable[str]) -> tuple[Finding, ...]:
    """
    Return *findings* without any of *secrets* in them, in printable characters.

    No rule writes one down; a secret that is also a path or a label would get in otherwise.
    """
    hidden = {
        form
        for secret in secrets
        for form in (secret, secret.strip(), secret.strip("\"' \t\r\n"))
        if len(form) >= SECRET_CHARS_MIN
    }
    longest_first = sorted(hidden, key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in longest_first:
            text = text.replace(secret, "[secret]")
        text = _LOOKS_SECRET.sub("[secret]", text)
        return "".join(character if character.isprintable() else "?" for character in text)

    return tuple(
        Finding(one.code, one.certainty, clean(one.what), clean(one.next_step)) for one in findings
    )
