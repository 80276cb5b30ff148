"""Why a signature does not fit, or that it does."""

import json
from dataclasses import dataclass

from .body_readings import announced_bytes
from .case import Case
from .finding import Finding, likely, proved
from .header_readings import header_readings
from .other_schemes import check_other_schemes
from .proof import Proof, search

__all__ = ["SignatureReport", "check_signature"]

_UNREADABLE_HEADER = {"wrong_scheme", "header_mangled"}  # no secret could fit, so none is blamed

_STRIPE_BEGINS = b'{\n  "id"'  # how the bodies of snapshot and thin events begin


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """What the search for what was signed came to."""

    findings: list[Finding]
    is_good: bool
    """Whether the request would pass as it is, but for its age."""


def check_signature(case: Case) -> SignatureReport:
    """Return every finding about the signature of *case*; the work is bounded by `search`."""
    proof = search(case)
    if proof is not None:
        findings = proof.findings()
        is_good = not findings and case.is_used(proof.key.label)
        return SignatureReport(
            [*findings, *_other_secret(case, proof), *_age(case, proof)], is_good
        )
    other = check_other_schemes(case)
    if other:
        return SignatureReport(other, is_good=False)
    if not case.values("stripe-signature"):
        return SignatureReport([_missing()], is_good=False)
    findings = [*_scheme(case), *_body(case)]
    if not case.secrets:
        findings.append(_no_secret())
    elif not any(finding.code in _UNREADABLE_HEADER for finding in findings):
        findings.append(_unknown_secret(case))
    return SignatureReport(findings, is_good=False)


def _other_secret(case: Case, proof: Proof) -> list[Finding]:
    label = proof.key.label
    if case.is_used(label):
        return []
    mine = ", ".join(f"'{one}'" for one in sorted(case.used or ())) or "none"
    return [
        proved(
            "other_secret",
            f"the request is signed with the secret '{label}', and the app verifies with {mine}",
            f"give the app the secret '{label}' as well: each endpoint, `stripe listen`, and each "
            "of live and test mode has a secret of its own",
        )
    ]


def _age(case: Case, proof: Proof) -> list[Finding]:
    age = case.now - int(proof.header.signed_at)
    if age < -case.tolerance:
        return [
            proved(
                "too_new",
                f"it was signed {-age:.0f} s in the future: the receiver's clock is behind, or the "
                f"sender's ahead; {case.tolerance:g} s are accepted",
                "set both clocks by NTP (timedatectl; restart a container host that slept)",
            )
        ]
    if age > case.tolerance:
        make = proved if case.is_now_known else likely
        return [
            make(
                "too_old",
                f"it was signed {age:.0f} s ago and {case.tolerance:g} s are accepted: a replayed "
                "or queued request, or the receiver's clock runs ahead",
                "compare the clocks first; to replay a saved request sign it afresh. Stripe signs "
                "each attempt anew, so its own retries are never too old",
            )
        ]
    return []


def _missing() -> Finding:
    return proved(
        "signature_missing",
        "the request has no Stripe-Signature header: it is not from Stripe, or a proxy dropped it",
        "look at the request before the proxy; to send one by hand use `hookloop doctor url`",
    )


def _scheme(case: Case) -> list[Finding]:
    text = ",".join(case.values("stripe-signature")).lower()
    if "v1" in text:
        return [] if any(True for _ in header_readings(case)) else [_unreadable()]
    return [
        proved(
            "wrong_scheme",
            "the Stripe-Signature header has no v1= signature, the only scheme that counts",
            "let the sender sign as Stripe does, t=...,v1=...; v0 is for Stripe's own tests",
        )
    ]


def _unreadable() -> Finding:
    return proved(
        "header_mangled",
        "the Stripe-Signature header has no t= of digits with a v1= of 64 hex digits",
        "make whatever stands before the app pass the header's value on whole and untouched",
    )


def _body(case: Case) -> list[Finding]:
    """Return what the body alone shows, where no HMAC could tell."""
    body = case.body
    announced = announced_bytes(case)
    if not body:
        return [_consumed(announced)]
    if announced is not None and announced > len(body):
        return [_truncated(f"Content-Length announced {announced} bytes and {len(body)} arrived")]
    if body.lstrip()[:1] == b"{" and body.rstrip()[-1:] != b"}":
        finding = _truncated("the JSON ends in the middle")
        return [likely(finding.code, finding.what, finding.next_step)]
    if b"\xef\xbf\xbd" in body or not _is_utf8(body):
        what = "the body holds bytes that are no text any more: it was decoded and encoded again"
        return [likely("body_recoded", what, "verify the raw bytes; they cannot be had back")]
    if _is_json(body) and not body.startswith(_STRIPE_BEGINS):
        what = (
            "Stripe sends JSON with two-space indents and id first, and this is written otherwise: "
            "it was parsed and written anew"
        )
        return [likely("body_reserialised", what, "verify the raw bytes before anything parses")]
    return []


def _consumed(announced: int | None) -> Finding:
    next_step = (
        "something before the verification read the body. Starlette and FastAPI: a middleware "
        "with request.stream(); use request.body() there. Flask: request.stream or request.form; "
        "use get_data(cache=True). Django: request.read() or POST; use request.body. Express: "
        "express.raw() on this route"
    )
    if announced:
        what = f"Content-Length announced {announced} bytes and the body is empty: it was consumed"
        return proved("body_consumed", what, next_step)
    return likely("body_consumed", "the body is empty, and Stripe never sends that", next_step)


def _truncated(what: str) -> Finding:
    return proved(
        "body_truncated",
        f"{what}: the body was cut",
        "raise the body limit of the proxy or the middleware, or read until the end",
    )


def _no_secret() -> Finding:
    return proved(
        "no_secret",
        "no signing secret is known, so nothing can be verified",
        "give the endpoint's: --secret whsec_..., or STRIPE_WEBHOOK_SECRET in the environment",
    )


def _unknown_secret(case: Case) -> Finding:
    count = len(case.secrets)
    return likely(
        "unknown_secret",
        f"no known secret ({count} tried) signed this body, in any form that could be tried: "
        "it is most likely signed for another endpoint",
        "compare the secret with the one of the endpoint that sent it; `stripe listen` prints its "
        "own, and a rolled one is replaced after 24 hours at most",
    )


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
