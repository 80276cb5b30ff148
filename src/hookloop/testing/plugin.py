"""The pytest plugin: the fixture ``stripe_events``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .answer import Answer
    from .chaos import ChaosReport
    from .signed_request import SignedRequest

__all__ = ["StripeEvents", "stripe_events"]


class StripeEvents:
    """
    `hookloop.testing` with one secret, which the application under test must know.

        @pytest.fixture
        def app(stripe_events):
            return create_app(webhook_secret=stripe_events.secret)
    """

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def make(self, type: str, **fields: Any) -> dict[str, Any]:  # noqa: A002  # Stripe's own name
        """Return an event; see `hookloop.testing.make`."""
        from .made_event import make

        return make(type, **fields)

    def make_thin(self, type: str, **fields: Any) -> dict[str, Any]:  # noqa: A002  # the same
        """Return a thin event; see `hookloop.testing.make_thin`."""
        from .made_event import make_thin

        return make_thin(type, **fields)

    def sign(
        self, event: Mapping[str, Any] | bytes, *, signed_at: float | None = None
    ) -> "SignedRequest":
        """Sign with this fixture's secret; see `hookloop.testing.sign`."""
        from .signed_request import sign

        return sign(event, self.secret, signed_at=signed_at)

    def send(
        self, app: Any, event: "Mapping[str, Any] | SignedRequest", *, path: str = ""
    ) -> "Answer":
        """Send to *app*; see `hookloop.testing.send`."""
        from .sending import PATH, send

        return send(app, event, path=path or PATH, secret=self.secret)

    def chaos(self, events: Sequence[Any], **how: Any) -> "ChaosReport":
        """Deliver badly; see `hookloop.testing.chaos`."""
        from .chaos import chaos

        return chaos(events, **how)


@pytest.fixture
def stripe_events() -> StripeEvents:
    """Make, sign and send events of Stripe's; override it to use a secret of your own."""
    from .signed_request import SECRET

    return StripeEvents(SECRET)
