"""
Probe requests to a user's own URL, and what the answers tell.

A probe is a harmless event of a made-up type. One with no signature and one that
is forged must be refused, a signed one taken. Where a signed one is refused, probes
signed over what a broken app would see (nothing, or the JSON written anew) find out
which: an app that treats one of these otherwise than a forged one has verified it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from hookloop.signing import stripe_signature_header

from .answer import check_answer, is_success, outcome_of
from .case import Answer, Headers
from .finding import Certainty, Finding, likely, proved, ranked, redacted

__all__ = ["PROBE_TYPE", "Probe", "check_answers", "next_probes"]

PROBE_TYPE = "hookloop.probe"
STALE_SECONDS = 3600  # far beyond any tolerance, and no clock is that wrong unnoticed

_FORGED_SECRET = "whsec_hookloop_doctor_forged"  # noqa: S105  # of nobody: what it signs is forged

_FIRST = ("unsigned", "forged")
_WHEN_REFUSED = ("empty", "spaced", "compact")

# Answers that come from before any verification, so that more probes tell nothing more.
_BEFORE_VERIFICATION = {
    "slash_redirect", "login_redirect", "https_redirect", "host_redirect", "redirect", "csrf",
    "host_not_allowed", "bot_protection", "wrong_path", "method_not_allowed", "gateway",
    "unreachable", "media_type", "body_consumed", "app_has_no_secret", "login_page", "html_page",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Probe:
    """One request to POST."""

    name: str
    headers: Headers = field(repr=False)
    body: bytes


def next_probes(
    answers: Mapping[str, Answer], secret: str | None, *, url: str, now: int
) -> list[Probe]:
    """
    Return the probes to send next, given the *answers* so far by name; none when done.

    The caller's duty: POST each once, follow no redirect, and ask again. It takes
    three rounds at most.
    """
    if not answers:
        names = [*_FIRST, "signed"] if secret else list(_FIRST)
    elif secret and "stale" not in answers and is_success(answers["signed"]):
        names = ["stale"]
    elif secret and "empty" not in answers and not is_success(answers["signed"]):
        early = _codes(check_answer(answers["signed"], url)) & _BEFORE_VERIFICATION
        names = [] if early else list(_WHEN_REFUSED)
    else:
        names = []
    return [_probe(name, secret or _FORGED_SECRET, now) for name in names if name not in answers]


def check_answers(
    answers: Mapping[str, Answer], url: str, secret: str | None = None
) -> tuple[Finding, ...]:
    """Return what the *answers* to the probes tell about *url*, the most certain first."""
    findings = []
    judged = answers.get("signed", answers["forged"])
    structural = check_answer(judged, url)
    if "signed" not in answers:
        # A refusal is what a forged request deserves.
        structural = [one for one in structural if one.code in _BEFORE_VERIFICATION]
    findings += structural
    if not _codes(findings) & _BEFORE_VERIFICATION:
        findings += _let_in(answers)
        if "signed" in answers and not is_success(answers["signed"]):
            findings += _refused(answers, structural)
    return redacted(ranked(findings), [secret] if secret else [])


def _probe(name: str, secret: str, now: int) -> Probe:
    body = _event(name, now)
    headers = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("User-Agent", "hookloop-doctor"),
        ("Accept", "*/*; q=0.5, application/json"),
    ]
    signed_at = now - STALE_SECONDS if name == "stale" else now
    signed_with = _FORGED_SECRET if name == "forged" else secret
    if name != "unsigned":
        signature = stripe_signature_header(_seen(name, body), [signed_with], signed_at=signed_at)
        headers.append(("Stripe-Signature", signature))
    return Probe(name, tuple(headers), body)


def _event(name: str, now: int) -> bytes:
    """Return an event as Stripe writes it; the name it holds changes when JSON is rewritten."""
    event = {
        "id": f"evt_hookloopdoctor{now}{name}",
        "object": "event",
        "api_version": None,
        "created": now,
        "data": {"object": {"id": "probe", "object": "probe", "name": "Zo\u00eb </\u2028>"}},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": PROBE_TYPE,
    }
    return json.dumps(event, indent=2, ensure_ascii=False).encode()


def _seen(name: str, body: bytes) -> bytes:
    """Return what the app of probe *name* would verify in place of *body*."""
    if name == "empty":
        return b""
    if name == "spaced":
        return json.dumps(json.loads(body)).encode()
    if name == "compact":
        return json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
    return body


def _let_in(answers: Mapping[str, Answer]) -> list[Finding]:
    for name, what in (("unsigned", "with no signature"), ("forged", "with a forged signature")):
        if is_success(answers[name]):
            return [
                proved(
                    "unsigned_accepted",
                    f"{answers[name].status}: an event {what} is accepted: anyone can send one",
                    "verify Stripe-Signature before anything else, and answer 400 where it fails",
                )
            ]
    if "stale" in answers and is_success(answers["stale"]):
        return [
            proved(
                "no_tolerance",
                f"an event signed {STALE_SECONDS} s ago is accepted: whoever saved a request can "
                "send it again",
                "check the signature's time; hookloop and stripe's library do, with 300 s",
            )
        ]
    return []


def _refused(answers: Mapping[str, Answer], structural: list[Finding]) -> list[Finding]:
    """Return why a rightly signed probe was refused."""
    forged, signed = answers["forged"], answers["signed"]
    if not _same(signed, forged):
        if any(finding.certainty is Certainty.PROVED for finding in structural):
            return []
        return [
            likely(
                "failed_after_verifying",
                f"{signed.status} where a forged event gets {forged.status}: the signature is "
                "accepted, and what follows fails",
                "look at the app's log; a type nobody knows should be answered 200",
            )
        ]
    if "empty" in answers and not _same(answers["empty"], forged):
        return [
            proved(
                "body_consumed",
                "the app verifies an empty body: something before it reads the body",
                "Starlette and FastAPI: request.body(), not request.stream(), in middleware. "
                "Flask: get_data(cache=True). Django: request.body, not read() or POST",
            )
        ]
    for name in ("spaced", "compact"):
        if name in answers and not _same(answers[name], forged):
            return [
                proved(
                    "body_reserialised",
                    "the app verifies the JSON written anew, not the bytes that arrived",
                    "hand the raw body to the verification: request.body in Django, "
                    "request.get_data() in Flask, await request.body() in Starlette and FastAPI",
                )
            ]
    return [
        likely(
            "wrong_secret",
            f"{signed.status}: an event signed with your secret is refused just as a forged one",
            "give the app the same secret: is the variable set in the process that runs, was it "
            "restarted, and does it hold this endpoint's secret, not that of `stripe listen`?",
        )
    ]


def _same(one: Answer, other: Answer) -> bool:
    return (one.status, outcome_of(one), one.excerpt) == (
        other.status,
        outcome_of(other),
        other.excerpt,
    )


def _codes(findings: list[Finding]) -> set[str]:
    return {finding.code for finding in findings}
