"""
What Stripe knows of itself: endpoints, event types, API versions, from its installed package.

Asking the package rather than a list of our own means that a newer one widens
what the sandbox takes, and that the two never disagree.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from hookloop.shapes.endpoint import Endpoint, endpoints

from .errors import ApiError

__all__ = ["Catalogue", "installed_catalogue"]

_VERSION = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9](?:\.[a-z]{1,40})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The names a sandbox checks what it is sent against."""

    api_version: str
    """What an account uses where nobody says otherwise."""
    api_versions: frozenset[str]
    event_types: frozenset[str]
    endpoints: tuple[Endpoint, ...]
    """All of Stripe's, simulated or not."""

    def requested_version(self, header: str | None) -> str:
        """Return the version a request asked for, or the account's. Raises `ApiError`."""
        if not header:
            return self.api_version
        # By form, not by name: the client may be newer than the package we asked.
        if not _VERSION.fullmatch(header):
            raise ApiError(400, f"Invalid Stripe API version: {header[:40]}")
        return header


@cache
def installed_catalogue() -> Catalogue:
    """Return what the installed ``stripe`` package says; a third of a second the first time."""
    import stripe
    from stripe.params import WebhookEndpointCreateParams

    declared = WebhookEndpointCreateParams.__annotations__
    return Catalogue(
        api_version=stripe.api_version,
        api_versions=frozenset(_words(declared["api_version"])) | {stripe.api_version},
        event_types=frozenset(_words(declared["enabled_events"])) - {"*"},
        endpoints=endpoints(),
    )


def _words(annotation: Any) -> set[str]:
    """Return every string of the `Literal`s in *annotation*, however deep they stand."""
    if isinstance(annotation, str):
        return {annotation}
    return {word for part in get_args(annotation) for word in _words(part)}
