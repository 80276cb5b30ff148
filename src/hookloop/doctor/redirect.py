"""Where a redirect leads, and so what is wrong: a sender of webhooks follows none."""

import re
from urllib.parse import SplitResult, parse_qsl, urljoin, urlsplit

from .case import Answer, header_values, path_of, shown
from .finding import Finding, likely, proved

__all__ = ["check_redirect"]

_LOGIN = re.compile(
    r"log-?_?in|sign-?_?in|/auth|oauth|sso|session/new|cdn-cgi/access", re.IGNORECASE
)
_RETURN_KEYS = {
    "next",
    "return_to",
    "returnto",
    "redirect",
    "redirect_to",
    "redirect_url",
    "return_url",
    "returnurl",
    "continue",
    "rd",
    "came_from",
}

_FAILURE = "Stripe follows no redirect and counts it as a failure"


def check_redirect(answer: Answer, url: str) -> Finding:
    """Return what a 3xx *answer* to a request for *url* means."""
    location = next(iter(header_values(answer.headers, "location")), "")
    if not location:
        return _elsewhere(answer, "an address it does not name")
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, location.strip()))
    except ValueError:
        return _elsewhere(answer, "an address that is none")
    if _is_login(here, there):
        return _login(answer, there, is_certain=_returns_here(here, there))
    if there.path != here.path and there.path.rstrip("/") == here.path.rstrip("/"):
        is_here = not there.netloc or (there.scheme, _host(there)) == (here.scheme, _host(here))
        whole = there.path if is_here else f"{there.scheme}://{_host(there)}{there.path}"
        return _slash(answer, path_of(url), whole)
    if there.path == here.path and not here.netloc:
        return _elsewhere(answer, "the same path at another address")
    if there.path == here.path and _host(there) == _host(here) and there.scheme != here.scheme:
        return _moved(answer, f"{here.scheme}:// leads to {there.scheme}://", "https_redirect")
    if there.path == here.path and _host(there) != _host(here):
        return _moved(answer, f"the host is sent on to {shown(_host(there))}", "host_redirect")
    return _elsewhere(answer, shown(there.path or "/"))


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2].lower()


def _is_login(here: SplitResult, there: SplitResult) -> bool:
    return there.path != here.path and (
        _LOGIN.search(there.path) is not None or _returns_here(here, there)
    )


def _returns_here(here: SplitResult, there: SplitResult) -> bool:
    """Whether the address says to come back here afterwards, as login pages do."""
    try:
        pairs = parse_qsl(there.query, max_num_fields=50)
    except ValueError:
        return False
    wanted = here.path.rstrip("/")
    return bool(wanted) and any(
        key.lower() in _RETURN_KEYS and _path_in(value).rstrip("/") == wanted
        for key, value in pairs
    )


def _path_in(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _slash(answer: Answer, here: str, there: str) -> Finding:
    added = "with" if there.endswith("/") else "without"
    return proved(
        "slash_redirect",
        f"{answer.status}: {shown(here)} is redirected to {shown(there)}, {added} a slash at the "
        f"end. {_FAILURE}",
        f"register {shown(there)} at Stripe; or mount both forms: a hookloop face answers both, "
        "Starlette and FastAPI need redirect_slashes=False, Django APPEND_SLASH=False or both "
        "paths, Flask strict_slashes=False",
    )


def _login(answer: Answer, there: SplitResult, *, is_certain: bool) -> Finding:
    return (proved if is_certain else likely)(
        "login_redirect",
        f"{answer.status}: the request is sent to {shown(there.path)} to log in",
        "exempt the webhook's route from authentication: login_not_required in Django, an "
        "exception in the middleware or the access proxy. The signature is its authentication",
    )


def _moved(answer: Answer, what: str, code: str) -> Finding:
    return proved(
        code,
        f"{answer.status}: {what}. {_FAILURE}",
        "register the address the redirect leads to",
    )


def _elsewhere(answer: Answer, where: str) -> Finding:
    return proved(
        "redirect",
        f"{answer.status}: the request is redirected to {where}. {_FAILURE}",
        "answer at the registered address itself, or register the one that answers",
    )
