"""What a Stripe-Signature header may have said before a proxy touched it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from hookloop.signing import HEADER_BYTES_MAX

from .case import HEADERS_MAX, Case, shown
from .finding import Finding, proved

__all__ = ["HeaderReading", "header_readings"]

TIMES_MAX = 4  # Each costs an HMAC a key; two joined headers have two.
DIGESTS_MAX = 16  # Stripe sends one for each secret in force, so two.
DIGEST_CHARS_MIN = 16  # Of a digest cut short: 64 bits do not fit by chance.

_NAME = "stripe-signature"
_TIME = re.compile(r"[0-9]{1,12}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LOOSE_DIGEST = re.compile(r"[0-9a-f]{16,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HeaderReading:
    """A time and the digests that go with it."""

    signed_at: str
    """Digits, as they are hashed."""
    digests: tuple[str, ...]
    finding: Finding | None
    """What is wrong with the header as it came, if this reading fits."""


def header_readings(case: Case) -> Iterator[HeaderReading]:
    """Yield the readings of every header that is, or was, ``Stripe-Signature``."""
    values = case.values(_NAME)
    if values:
        yield from _read(values, None)
        return
    for name, value in case.headers[:HEADERS_MAX]:
        if name.lower().replace("_", "-").endswith(_NAME):
            yield from _read([value], _renamed(name))


def _read(values: list[str], renamed: Finding | None) -> Iterator[HeaderReading]:
    text = ",".join(values)[:HEADER_BYTES_MAX]
    if len(values) == 1:
        strict = _strict(text)
        if strict is not None:
            yield HeaderReading(*strict, renamed)
            return
    times, digests, changes = _loose(text)
    if len(values) > 1:
        changes.insert(0, f"it came as {len(values)} headers")
    if len(times) > 1:
        changes.append("it has more than one t=")
    finding = renamed or _mangled(changes)
    for signed_at in times[:TIMES_MAX]:
        if digests:
            yield HeaderReading(signed_at, tuple(digests[:DIGESTS_MAX]), finding)


def _strict(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Read as Stripe's own libraries do: nothing is trimmed, hex is lower case."""
    items = [item.partition("=") for item in text.split(",")]
    times = [value for key, _, value in items if key == "t"]
    digests = tuple(value for key, _, value in items if key == "v1")
    if any(key != key.strip() or not key.islower() for key, _, _ in items):
        return None
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        return None
    if not digests or not all(_DIGEST.fullmatch(digest) for digest in digests):
        return None
    return times[0], digests[:DIGESTS_MAX]


def _loose(text: str) -> tuple[list[str], list[str], list[str]]:
    """Return times, digests and what had to be put right to find them."""
    changes = []

    def changed(new: str, what: str) -> str:
        if new != text:
            changes.append(what)
        return new

    text = changed(unquote(text, errors="replace"), "it is percent-encoded")
    text = changed(re.sub(r"[\"'`]", "", text), "it has quotes in it")
    text = changed(re.sub(r"\s*=\s*", "=", text.strip()), "it has spaces in it")
    text = changed(re.sub(r"\s*,\s*", ",", text), "it has spaces in it")
    text = changed(re.sub(r"[;\s]+", ",", text), "its commas were replaced")
    text = changed(text.lower(), "its letters changed case")
    items = [item.partition("=") for item in text.split(",")]
    times = [value for key, _, value in items if key == "t" and _TIME.fullmatch(value)]
    digests = [value for key, _, value in items if key == "v1" and _LOOSE_DIGEST.fullmatch(value)]
    if any(len(digest) < 64 for digest in digests):  # SHA-256 in hex
        changes.append("a v1 was cut short")
    return list(dict.fromkeys(times)), list(dict.fromkeys(digests)), changes


def _mangled(changes: list[str]) -> Finding:
    what = "; ".join(dict.fromkeys(changes)) or "it has parts that are not key=value"
    return proved(
        "header_mangled",
        f"the Stripe-Signature header was changed on the way: {what}",
        "make the proxy, gateway or test client pass the header's value on untouched, once",
    )


def _renamed(name: str) -> Finding:
    return proved(
        "header_renamed",
        f"the signature arrived in a header named {shown(name)}, not Stripe-Signature",
        "pass the header on under its own name; nginx drops names with underscores, and "
        "HTTP_STRIPE_SIGNATURE is how WSGI spells it inside request.META",
    )
