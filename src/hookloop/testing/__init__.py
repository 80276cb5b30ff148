"""
Test your handlers through the bytes they get in production.

    from hookloop.testing import make, send

    def test_a_paid_invoice_is_booked():
        answer = send(app, make("invoice.paid", amount_paid=100), secret="whsec_test")
        assert answer.status == 200

`make` builds an event of any type Stripe has, from the classes of the installed `stripe`
package; `sign` signs it; `send` posts it to your application. With pytest, the fixture
``stripe_events`` has all of them. Importing this loads the standard library alone. Read
`made_event` first.
"""

from .answer import Answer
from .clock import ManualClock
from .made_event import make, make_thin
from .sending import asend, send
from .signed_request import SECRET, SignedRequest, sign

__all__ = [
    "SECRET",
    "Answer",
    "ManualClock",
    "SignedRequest",
    "asend",
    "make",
    "make_thin",
    "send",
    "sign",
]
