"""The secrets a user knows, by label, and what each may have been before it was mistyped."""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hookloop.errors import ConfigError

from .case import Case
from .finding import Finding, likely, proved

__all__ = ["SECRETS_MAX", "KeyReading", "check_secrets", "key_readings", "parse_secrets"]

SECRETS_MAX = 16  # As many as `Hooks` takes; each costs an HMAC for every reading of the body.

_LABELLED = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,39})=(.*[^=\s].*)", re.DOTALL)
_LOOKS_SECRET = re.compile(r"[\s\"']*(whsec|sk|rk|pk|we|acct|evt)_")

# What people paste in place of a signing secret, by its prefix.
_WRONG_KINDS = {
    "sk_": "an API key",
    "rk_": "a restricted API key",
    "pk_": "a publishable key",
    "we_": "the id of an endpoint",
    "ed_": "the id of an event destination",
    "acct_": "the id of an account",
}

_WHERE = "copy the endpoint's signing secret, whsec_..., from the page of that endpoint"


@dataclass(frozen=True, slots=True)
class KeyReading:
    """A key the sender may have signed with."""

    label: str
    key: bytes
    finding: Finding | None
    """What is wrong with the secret as configured, if this key fits."""


def parse_secrets(given: Iterable[str]) -> dict[str, str]:
    """
    Return secrets by label from texts such as ``live=whsec_...`` or ``whsec_...``.

    Whitespace and quotes around a secret are kept: they may be the very fault.
    Raises `ConfigError` for two of one label, an empty one, or too many.
    """
    found: dict[str, str] = {}
    for text in given:
        match = None if _LOOKS_SECRET.match(text) else _LABELLED.fullmatch(text)
        label, secret = match.groups() if match else (_free_label(found), text)
        if not secret.strip():
            raise ConfigError("a secret is empty: give label=whsec_..., or leave the option out")
        if label in found:
            raise ConfigError(f"two secrets are labelled {label}: give each a label of its own")
        found[label] = secret
    if len(found) > SECRETS_MAX:
        raise ConfigError(f"more than {SECRETS_MAX} secrets: leave out those that cannot be meant")
    return found


def _free_label(found: Mapping[str, str]) -> str:
    return "secret" if "secret" not in found else f"secret-{len(found) + 1}"


def key_readings(secrets: Mapping[str, str]) -> Iterator[KeyReading]:
    """Yield the secrets as they are, then what each may have been meant to be."""
    chosen = list(secrets.items())[:SECRETS_MAX]
    tried = set()
    for label, secret in chosen:
        key = secret.encode("utf-8", "surrogateescape")
        tried.add(key)
        yield KeyReading(label, key, None)
    for label, secret in chosen:
        for key, finding in _repaired(label, secret):
            if key and key not in tried:
                tried.add(key)
                yield KeyReading(label, key, finding)


def _repaired(label: str, secret: str) -> Iterator[tuple[bytes, Finding]]:
    bare = secret.strip().strip("\ufeff\u200b\u200e")
    yield _encoded(bare), _whitespace(label)
    unescaped = re.sub(r"(\\[nrt])+$", "", bare)
    yield _encoded(unescaped), _whitespace(label)
    unquoted = unescaped.strip("\"'`\u2018\u2019\u201c\u201d").strip()
    yield _encoded(unquoted), _quotes(label)
    rest = unquoted.removeprefix("whsec_")
    yield _encoded(f"whsec_{rest}"), _prefix(label, "the secret lacks its whsec_")
    while rest.startswith("whsec_"):
        rest = rest.removeprefix("whsec_")
        yield _encoded(f"whsec_{rest}"), _prefix(label, "the secret has whsec_ twice")
    yield _encoded(rest), _prefix(label, "the sender signed with what follows whsec_")
    decoded = _decoded(unquoted)
    if decoded is not None:
        yield decoded.strip(), _base64(label, "the secret is itself written in base64")
    decoded = _decoded(rest)
    if decoded is not None:
        what = "the sender used the base64 after whsec_ decoded, as Standard Webhooks does"
        yield decoded, _base64(label, what)


def check_secrets(case: Case) -> list[Finding]:
    """Return what is wrong with the secrets whatever they are used on."""
    mine = {label: s for label, s in case.secrets.items() if case.is_used(label)}
    is_any_right = any(secret.strip("\"' \t\r\n").startswith("whsec_") for secret in mine.values())
    findings = []
    for label, secret in mine.items():
        bare = secret.strip("\"' \t\r\n")
        for prefix, kind in _WRONG_KINDS.items():
            if bare.startswith(prefix):
                make = likely if is_any_right else proved
                what = f"the secret '{label}' is {kind} ({prefix}...), which never signs a webhook"
                findings.append(make("secret_wrong_kind", what, f"{_WHERE} in the dashboard"))
        if secret != secret.strip():
            findings.append(_as_likely(_whitespace(label)))
        elif secret.strip("\"'") != secret:
            findings.append(_as_likely(_quotes(label)))
    return findings


def _as_likely(finding: Finding) -> Finding:
    return likely(finding.code, finding.what, finding.next_step)


def _whitespace(label: str) -> Finding:
    return proved(
        "secret_whitespace",
        f"the secret '{label}' has a space, a newline or an invisible character around it",
        "write it without: in a .env file no space after =; for a Kubernetes or Docker secret "
        "use printf '%s', since echo adds a newline",
    )


def _quotes(label: str) -> Finding:
    return proved(
        "secret_quotes",
        f"the secret '{label}' has quotes around it that became part of it",
        "take them off: docker --env-file and systemd do not remove quotes as a shell does",
    )


def _prefix(label: str, what: str) -> Finding:
    return proved(
        "secret_prefix",
        f"{what} (secret '{label}')",
        "Stripe's key is the whole text, whsec_ included, once: configure it so on both sides",
    )


def _base64(label: str, what: str) -> Finding:
    return proved(
        "secret_base64",
        f"{what} (secret '{label}')",
        "Stripe's key is the text whsec_... as it stands: decode a Kubernetes secret once, and "
        "use a Standard Webhooks verifier only for senders of that scheme",
    )


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decoded(text: str) -> bytes | None:
    try:
        padded = text + "=" * (-len(text) % 4)
        return base64.b64decode(padded.encode("ascii"), altchars=None, validate=True)
    except (ValueError, binascii.Error):
        return None
