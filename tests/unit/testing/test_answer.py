"""What an application answered, read the way a test wants to ask for it."""

import pytest

from hookloop.testing import Answer


@pytest.mark.parametrize(
    ("status", "is_success"), [(199, False), (200, True), (299, True), (301, False), (500, False)]
)
def test_only_2xx_is_a_success(status: int, is_success: bool):
    """Stripe takes a redirect for a failure."""
    assert Answer(status, [], b"").is_success is is_success


def test_header_names_are_in_lower_case():
    """A test should not depend on how a server writes them."""
    assert Answer(405, [("Allow", "POST")], b"").headers == {"allow": "POST"}


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b'{"outcome": "handled"}', "handled"),
        (b'{"outcome": 1}', None),
        (b"[]", None),
        (b"ok", None),
    ],
)
def test_the_outcome_is_the_word_of_hooks(body: bytes, outcome: str | None):
    """Other applications answer what they like."""
    assert Answer(200, [], body).outcome == outcome


def test_a_failing_assertion_shows_what_the_app_raised():
    """`assert answer.status == 200` prints the repr."""
    assert (
        repr(Answer(500, [], b"", error=KeyError("x"))) == "<Answer 500, the app raised KeyError>"
    )
    assert repr(Answer(200, [], b'{"outcome": "handled"}')) == "<Answer 200 handled>"
    assert repr(Answer(200, [], b"ok")) == "<Answer 200 2 bytes>"
