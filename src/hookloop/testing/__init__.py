"""
Test your handlers through the bytes they get in production.

    from hookloop.testing import make, send

    def test_a_paid_invoice_is_booked():
        answer = send(app, make("invoice.paid", amount_paid=100), secret="whsec_test")
        assert answer.status == 200

`make` builds an event of any type Stripe has, from the classes of the installed `stripe`
package; `sign` signs it; `send` posts it to your application; `chaos` delivers events as
badly as the internet can; `captures` waits for what comes through a tunnel. With pytest, the
fixture ``stripe_events`` has all of them but the last, which is the fixture ``captures``.
Importing this loads the standard library alone. Read `made_event` first.
"""

from .answer import Answer
from .captures import CapturedExchange, Captures, captures
from .chaos import achaos, chaos
from .chaos_report import ChaosError, ChaosReport
from .clock import ManualClock
from .crash import CommitPoints, Crash
from .made_event import make, make_thin
from .sending import asend, send
from .signed_request import SECRET, SignedRequest, sign, sign_standard
from .stripe_events import StripeEvents

__all__ = [
    "SECRET",
    "Answer",
    "CapturedExchange",
    "Captures",
    "ChaosError",
    "ChaosReport",
    "CommitPoints",
    "Crash",
    "ManualClock",
    "SignedRequest",
    "StripeEvents",
    "achaos",
    "asend",
    "captures",
    "chaos",
    "make",
    "make_thin",
    "send",
    "sign",
    "sign_standard",
]
