"""Whether the handlers in the code fit the endpoint registered at Stripe."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from .case import shown
from .finding import Finding, likely, proved, ranked

__all__ = ["Endpoint", "Listening", "Listens", "check_endpoint", "check_handlers", "listening"]

ALL_EVENTS = "*"
NAMED_MAX = 8  # types in a sentence; the rest are counted

_PROBE = "~"  # stands in no event type: only a prefix or a handler for all can match it


class Listens(Protocol):
    """What the doctor asks of an app's handlers; `hookloop.Hooks` is one."""

    def is_listening(self, type: str, /) -> bool: ...  # noqa: A002  # Stripe's own name


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is registered at Stripe."""

    id: str
    url: str
    enabled_events: tuple[str, ...]
    api_version: str | None
    """None where events come in the account's default version."""
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class Listening:
    """What an app's handlers are for, found by asking about every known type."""

    exact: frozenset[str]
    """Types named in full."""
    prefixes: frozenset[str]
    """Starts of types, such as ``customer.``."""
    is_for_all: bool
    """Whether some handler takes every event."""

    @property
    def is_empty(self) -> bool:
        return not (self.exact or self.prefixes or self.is_for_all)

    def in_words(self) -> str:
        """Return what is listened to, fit for a sentence."""
        if self.is_for_all:
            return "every event"
        return _named(sorted(self.exact) + [f"{prefix}*" for prefix in sorted(self.prefixes)])


def listening(hooks: Listens, known_types: Iterable[str]) -> Listening:
    """
    Return what *hooks* listens to, by asking it about *known_types* and about made-up ones.

    A handler for all takes a type nobody has; a prefix is the shortest start of a
    type that takes made-up endings.
    """
    if hooks.is_listening(_PROBE):
        # What is named besides cannot be told apart any more, and need not be.
        return Listening(frozenset(), frozenset(), is_for_all=True)
    exact = set()
    prefixes: set[str] = set()
    for type_ in known_types:
        if not hooks.is_listening(type_) or type_.startswith(tuple(prefixes)):
            continue
        prefix = _prefix(hooks, type_)
        if prefix is None:
            exact.add(type_)
        else:
            prefixes.add(prefix)
    return Listening(frozenset(exact), frozenset(prefixes), is_for_all=False)


def _prefix(hooks: Listens, type_: str) -> str | None:
    starts = (type_[:size] for size in range(1, len(type_) + 1))
    return next((start for start in starts if hooks.is_listening(start + _PROBE)), None)


def check_handlers(heard: Listening) -> list[Finding]:
    """Return what is wrong with the handlers by themselves."""
    if not heard.is_empty:
        return []
    return [
        proved(
            "no_handlers",
            "no handler is registered: every event would be answered 200 and ignored",
            "import the modules that hold the handlers where the app starts, or include() their "
            "Handlers; a decorator works only once its module is imported",
        )
    ]


def check_endpoint(
    endpoint: Endpoint,
    heard: Listening,
    *,
    hooks: Listens,
    sdk_version: str | None,
    served_path: str | None = None,
) -> tuple[Finding, ...]:
    """
    Return where *endpoint* and the handlers differ, the most certain first.

    *sdk_version* is the API version of the installed ``stripe`` package, if any;
    *served_path* the path the app answers at, if known.
    """
    findings = check_handlers(heard)
    if not endpoint.is_enabled:
        findings.append(_disabled(endpoint))
    findings += _types(endpoint, heard, hooks)
    findings += _version(endpoint, sdk_version)
    if served_path is not None:
        findings += _path(endpoint, served_path)
    return ranked(findings)


def _disabled(endpoint: Endpoint) -> Finding:
    return proved(
        "endpoint_disabled",
        f"the endpoint {shown(endpoint.id)} is disabled: Stripe sends it nothing",
        "enable it in the dashboard; Stripe disables an endpoint after days of failures",
    )


def _types(endpoint: Endpoint, heard: Listening, hooks: Listens) -> list[Finding]:
    findings = []
    enabled = set(endpoint.enabled_events)
    if ALL_EVENTS in enabled:
        if heard.is_for_all or heard.is_empty:
            return []
        return [
            likely(
                "sends_everything",
                f"{shown(endpoint.id)} sends every type, and the app handles {heard.in_words()}",
                "name the types you handle in enabled_events: less traffic, and no surprises",
            )
        ]
    unheard = sorted(type_ for type_ in enabled if not hooks.is_listening(type_))
    if unheard and not heard.is_empty:
        findings.append(
            proved(
                "unhandled_types",
                f"{shown(endpoint.id)} sends {_named(unheard)}, which no handler takes",
                "add a handler, or take the type out of the endpoint's enabled_events",
            )
        )
    unsent = sorted(heard.exact - enabled) + sorted(
        f"{prefix}*"
        for prefix in heard.prefixes
        if not any(type_.startswith(prefix) for type_ in enabled)
    )
    if unsent:
        findings.append(
            proved(
                "unsent_types",
                f"there are handlers for {_named(unsent)}, which {shown(endpoint.id)} never sends",
                "add the types to the endpoint's enabled_events, unless another endpoint has them",
            )
        )
    return findings


def _version(endpoint: Endpoint, sdk_version: str | None) -> list[Finding]:
    if sdk_version is None or endpoint.api_version == sdk_version:
        return []
    if endpoint.api_version is None:
        return [
            likely(
                "version_unpinned",
                f"{shown(endpoint.id)} has no api_version: events come in the account's default, "
                f"and the installed stripe package is made for {sdk_version}",
                f"make an endpoint with api_version={sdk_version}, so that an upgrade of the "
                "account changes nothing",
            )
        ]
    if _release(endpoint.api_version) == _release(sdk_version):
        return []  # only a release with a name of its own breaks anything
    return [
        proved(
            "version_differs",
            f"{shown(endpoint.id)} sends events of {shown(endpoint.api_version)}, and the "
            f"installed stripe package is made for {sdk_version}",
            "make a second endpoint with the package's version and move over, or install the "
            "stripe package of the endpoint's version",
        )
    ]


def _release(version: str) -> str:
    """Return ``acacia`` for ``2024-09-30.acacia``; an older version is a release of its own."""
    return version.partition(".")[2] or version


def _path(endpoint: Endpoint, served_path: str) -> list[Finding]:
    try:
        path = urlsplit(endpoint.url).path or "/"
    except ValueError:
        path = "/"
    served = "/" + served_path.strip().lstrip("/")
    if path == served:
        return []
    if path.rstrip("/") == served.rstrip("/"):
        return [
            likely(
                "slash_differs",
                f"{shown(endpoint.id)} is registered with {shown(path)} and the app answers at "
                f"{shown(served)}: most frameworks redirect, and Stripe follows no redirect",
                f"register {shown(served)}; `hookloop doctor url` shows what the app does",
            )
        ]
    return [
        proved(
            "wrong_path",
            f"{shown(endpoint.id)} is registered with {shown(path)} and the app answers at "
            f"{shown(served)}",
            "change the endpoint's URL, or mount the webhook where it points to",
        )
    ]


def _named(types: list[str]) -> str:
    head = ", ".join(shown(type_) for type_ in types[:NAMED_MAX])
    more = len(types) - NAMED_MAX
    return f"{head} and {more} more" if more > 0 else head
