"""From one failed webhook to its causes, the most certain first."""

from .answer import check_answer, is_success
from .case import Case, shown
from .finding import Certainty, Finding, likely, proved, ranked, redacted
from .known_secrets import check_secrets
from .signature import SignatureReport, check_signature

__all__ = ["diagnose"]


def diagnose(case: Case) -> tuple[Finding, ...]:
    """
    Return what is wrong with *case*, the most certain cause first; nothing where all is well.

    Never raises, whatever the request holds; the work is bounded. What can be
    computed is proved by an HMAC and never guessed. No finding names a secret or
    anything of the body.
    """
    report = check_signature(case)
    findings = [*_method(case), *check_secrets(case), *report.findings]
    if case.answer is not None:
        findings += check_answer(case.answer, _address(case))
        findings += _refused(case, report, findings)
    return redacted(ranked(findings), case.secrets.values())


def _method(case: Case) -> list[Finding]:
    if case.method.upper() == "POST":
        return []
    return [
        proved(
            "method",
            f"the request is a {shown(case.method)}, and webhooks are POSTed: a browser, a health "
            "check, or a client that followed a 301 or 302 and changed POST to GET",
            "look for the redirect before this request, and register the address it leads to",
        )
    ]


def _address(case: Case) -> str:
    """Return where the request was sent, whole if its Host says so: a redirect is judged by it."""
    host = case.value("host")
    if not host or not case.url.startswith("/"):
        return case.url
    scheme = (case.value("x-forwarded-proto") or "http").strip().lower()
    return f"{scheme if scheme in ('http', 'https') else 'http'}://{host.strip()}{case.url}"


def _refused(case: Case, report: SignatureReport, found: list[Finding]) -> list[Finding]:
    """A good request that is refused nonetheless: the fault is behind the place it was saved at."""
    assert case.answer is not None  # noqa: S101  # the caller asked
    is_explained = any(finding.certainty is Certainty.PROVED for finding in found)
    if is_explained or not report.is_good or is_success(case.answer):
        return []
    return [
        likely(
            "refused_though_good",
            f"the signature is right as the request came, and the app answered "
            f"{case.answer.status}: it sees another body or uses another secret",
            "log the length of the body where it is verified and compare it with Content-Length; "
            "then compare the secrets, or run `hookloop doctor url` with this secret",
        )
    ]
