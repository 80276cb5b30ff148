"""`StripeEvents`: the whole testing face with one secret and one seed, for a fixture."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from hookloop.shapes.sample import Json

from .answer import Answer
from .chaos import achaos, chaos
from .chaos_report import ChaosReport
from .made_event import make, make_thin
from .sending import asend, send
from .signed_request import SECRET, SignedRequest, sign

__all__ = ["StripeEvents"]


class StripeEvents:
    """
    Makes, signs and sends events, all with *secret*, which the app under test must know.

    The events it makes are unlike each other, and the same in every run of the test: their
    ids come from *seed* and a count.
    """

    def __init__(self, secret: str | Sequence[str] = SECRET, seed: int | str = 0) -> None:
        self.secret = secret
        self.seed = seed
        self._made = 0

    def make(self, type: str, fields: Mapping[str, Any] | None = None, /, **how: Any) -> Json:  # noqa: A002  # Stripe's own name
        """Return a snapshot event; see `hookloop.testing.make`."""
        return make(type, fields, **{"seed": self._next_seed(), **how})

    def make_thin(self, type: str, /, **how: Any) -> Json:  # noqa: A002  # Stripe's own name
        """Return a thin event; see `hookloop.testing.make_thin`."""
        return make_thin(type, **{"seed": self._next_seed(), **how})

    def sign(self, event: Mapping[str, Any] | bytes, **how: Any) -> SignedRequest:
        """Return *event* as a signed request; see `hookloop.testing.sign`."""
        return sign(event, self.secret, **how)

    def send(
        self,
        app: Any,
        event: Mapping[str, Any] | SignedRequest | bytes,
        *,
        path: str | None = None,
        **how: Any,
    ) -> Answer:
        """Send *event* to *app*; see `hookloop.testing.send`."""
        return send(app, event, path=path, secret=self.secret, **how)

    async def asend(
        self,
        app: Any,
        event: Mapping[str, Any] | SignedRequest | bytes,
        *,
        path: str | None = None,
        **how: Any,
    ) -> Answer:
        """Send *event* to *app* on the running loop; see `hookloop.testing.asend`."""
        return await asend(app, event, path=path, secret=self.secret, **how)

    def chaos(
        self, deliver: Callable[[Any], Any], events: Sequence[Any], **how: Any
    ) -> ChaosReport:
        """Deliver *events* badly, in many ways; see `hookloop.testing.chaos`."""
        return chaos(deliver, events, **{"seed": self.seed, **how})

    async def achaos(
        self, deliver: Callable[[Any], Awaitable[Any]], events: Sequence[Any], **how: Any
    ) -> ChaosReport:
        """Deliver *events* badly on the running loop; see `hookloop.testing.achaos`."""
        return await achaos(deliver, events, **{"seed": self.seed, **how})

    def _next_seed(self) -> str:
        self._made += 1
        return f"{self.seed}/{self._made}"
