"""What the app's answer gives away: each rule looks at status, headers and an excerpt."""

import json
import re

from .case import Answer, header_values, path_of, shown
from .finding import Finding, likely, proved
from .redirect import check_redirect

__all__ = ["EXCERPT_CHARS_MAX", "check_answer", "is_success", "outcome_of"]

EXCERPT_CHARS_MAX = 16 * 1024  # what tells pages apart stands in their first kilobytes

_CSRF = re.compile(
    r"csrf|cross-site request forgery|invalidauthenticitytoken|page expired", re.IGNORECASE
)
_HOST = re.compile(
    r"invalid http_host header|invalid host header|disallowedhost|blocked host", re.IGNORECASE
)
_LOGIN = re.compile(r"type=[\"']?password|<title>[^<]{0,60}(log ?in|sign ?in)", re.IGNORECASE)
_CHALLENGE = re.compile(
    r"just a moment\.\.\.|captcha|challenge-platform|attention required", re.IGNORECASE
)
_UNREAD = re.compile(
    r"rawpostdataexception|cannot access body after reading|stream consumed", re.IGNORECASE
)
_PAGE_ERROR = re.compile(r"<title>\s*([A-Z][A-Za-z]{2,40}(?:Error|Exception|Warning))\b")
_FRAMEWORKS = (
    ("Django", re.compile(r"DEBUG = True|django|<h1>Server Error \(500\)</h1>", re.IGNORECASE)),
    ("Flask", re.compile(r"werkzeug|Werkzeug Debugger", re.IGNORECASE)),
    ("Starlette or FastAPI", re.compile(r"^Internal Server Error$|starlette", re.IGNORECASE)),
    ("Rails", re.compile(r"action controller|something went wrong \(500\)", re.IGNORECASE)),
)

_SUCCESSES = range(200, 300)
_REDIRECTS = {301, 302, 303, 307, 308}
_GATEWAY = {502, 503, 504, 520, 521, 522, 523, 524, 530}


def is_success(answer: Answer) -> bool:
    """Return whether a sender takes the delivery for done."""
    return answer.status is not None and answer.status in _SUCCESSES


def outcome_of(answer: Answer) -> str | None:
    """Return the outcome hookloop's own faces name, or None for another app's answer."""
    try:
        value = json.loads(answer.excerpt)
        outcome = value["outcome"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
    return outcome if isinstance(outcome, str) else None


def check_answer(answer: Answer, url: str) -> list[Finding]:
    """Return what *answer* to a request for *url* shows; nothing where it shows no fault."""
    excerpt = Answer(answer.status, answer.headers, answer.excerpt[:EXCERPT_CHARS_MAX])
    if answer.status is None:
        return [_no_answer(answer)]
    if answer.status in _REDIRECTS:
        return [check_redirect(answer, url)]
    if is_success(answer):
        return _page(excerpt)
    for rule in (_by_hookloop, _by_words, _by_status):
        finding = rule(excerpt, url)
        if finding is not None:
            return [finding]
    return []


def _no_answer(answer: Answer) -> Finding:
    return proved(
        "unreachable",
        f"no answer came: {shown(answer.error or 'the connection failed')}",
        "start the app, check host and port, and answer within seconds: acknowledge first and do "
        "slow work afterwards",
    )


def _page(answer: Answer) -> list[Finding]:
    kind = next(iter(header_values(answer.headers, "content-type")), "")
    is_html = "html" in kind.lower() or answer.excerpt.lstrip()[:15].lower().startswith("<!doctype")
    if not is_html:
        return []
    if _LOGIN.search(answer.excerpt):
        return [
            likely(
                "login_page",
                f"{answer.status} with a login page: Stripe takes it for success, and the event "
                "is lost",
                "exempt the webhook's route from authentication; the signature is enough",
            )
        ]
    return [
        likely(
            "html_page",
            f"{answer.status} with an HTML page: a web page answers here (a single-page app's "
            "catch-all, an interstitial of a tunnel), not a webhook handler",
            "check the path, and that the route stands before any catch-all",
        )
    ]


def _by_hookloop(answer: Answer, _url: str) -> Finding | None:
    outcome = outcome_of(answer)
    if outcome == "raw_body_unavailable":
        return _consumed("hookloop says that the body was read before it got it")
    if outcome == "no_secret":
        return proved(
            "app_has_no_secret",
            "the app has no signing secret for this request",
            "pass secrets= to Hooks; is the environment variable set in that process?",
        )
    if outcome == "failed":
        return _app_error("a handler, a filter or a secrets lookup raised")
    return None


def _consumed(what: str) -> Finding:
    return proved(
        "body_consumed",
        what,
        "Starlette and FastAPI: use request.body(), not request.stream(), in middleware. Flask: "
        "get_data(cache=True). Django: request.body in middleware, never read() or POST first",
    )


def _by_words(answer: Answer, url: str) -> Finding | None:
    text = answer.excerpt
    if answer.status in {400, 403, 419, 422} and _CSRF.search(text):
        return proved(
            "csrf",
            f"{answer.status}: the app asks for a CSRF token, which no webhook has",
            "exempt the route: csrf_exempt in Django (hooks.django_view() is exempt already), "
            "csrf.exempt in Flask-WTF, the middleware's list of exceptions elsewhere",
        )
    if _HOST.search(text):
        return proved(
            "host_not_allowed",
            f"{answer.status}: the app does not accept the Host of this address",
            "add it to ALLOWED_HOSTS in Django, allowed_hosts in Starlette, or allowedHosts",
        )
    if _UNREAD.search(text):
        return _consumed(f"{answer.status}: the app says that the body had been read already")
    is_challenged = bool(header_values(answer.headers, "cf-mitigated"))
    if is_challenged or (answer.status in {403, 429, 503} and _CHALLENGE.search(text)):
        return proved(
            "bot_protection",
            f"{answer.status}: a bot protection asks {shown(path_of(url))} to prove a human",
            "make an exception for the webhook's path in the firewall or the CDN",
        )
    return None


def _by_status(answer: Answer, url: str) -> Finding | None:
    status = answer.status or 0
    path = shown(path_of(url))
    if status in {401, 407}:
        what = f"{status}: the app or a proxy asks for credentials"
        step = (
            "exempt the route from authentication (authentication_classes = [] in DRF). An app "
            "that verifies by asking the API answers so to an event that does not exist"
        )
        return likely("auth_required", what, step)
    if status == 403:
        step = "look for permission classes, a firewall, an IP allow-list, or CSRF protection"
        return likely("forbidden", f"403: something refuses to let {path} be used", step)
    if status in {404, 410}:
        what = f"{status}: nothing is mounted at {path}"
        step = "compare with the app's routes, prefixes included, and with the endpoint's URL"
        return proved("wrong_path", what, step)
    if status == 405:
        allowed = shown(next(iter(header_values(answer.headers, "allow")), "")) or "others"
        what = f"405: {path} exists and takes {allowed}, not POST"
        return proved("method_not_allowed", what, "register the handler for POST at this path")
    if status == 413:
        step = "raise the limit (client_max_body_size in nginx, DATA_UPLOAD_MAX_MEMORY_SIZE)"
        return proved("body_too_large", "413: the body is over a limit of the app", step)
    if status == 415:
        step = "accept application/json; charset=utf-8 there, or take the raw body without a parser"
        return proved("media_type", "415: the route does not take JSON as Stripe sends it", step)
    if status == 422:
        step = "declare no body or header model on the route: take the Request, and its raw body"
        return likely("validation", "422: a framework validated the body as its own model", step)
    if status in _GATEWAY:
        step = "start the app behind the proxy or tunnel, and look at the address it forwards to"
        return proved("gateway", f"{status}: a proxy answers, and the app behind it does not", step)
    if status >= 500:
        return _error_page(answer)
    return None


def _error_page(answer: Answer) -> Finding:
    error = _PAGE_ERROR.search(answer.excerpt)
    if error:
        return _app_error(f"{answer.status}: the app raised {error[1]}")
    for name, pattern in _FRAMEWORKS:
        if pattern.search(answer.excerpt.strip()):
            return _app_error(f"{answer.status}: the error page of {name}")
    return _app_error(f"{answer.status}: the app failed")


def _app_error(what: str) -> Finding:
    return proved(
        "app_error", what, "the traceback is in the app's log, at the time of the request"
    )
