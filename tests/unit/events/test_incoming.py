"""A request's headers, in every form a face may hand them over."""

import pytest

from hookloop.events.incoming import Incoming, read_length

FORMS = {
    "asgi": [(b"stripe-signature", b"t=1"), (b"host", b"x")],
    "text": [("stripe-signature", "t=1"), ("host", "x")],
    "titles": [("Stripe-Signature", "t=1"), ("Host", "x")],
    "mapping": {"Stripe-Signature": "t=1", "Host": "x"},
    "shouting": [(b"STRIPE-SIGNATURE", b"t=1")],
    "tuple": ((b"stripe-signature", b"t=1"),),
    "generator": (pair for pair in [("Stripe-Signature", "t=1")]),
}


@pytest.mark.parametrize("headers", FORMS.values(), ids=FORMS)
def test_a_header_is_found_however_it_is_spelled(headers):
    """Their names are not told apart by case, nor by being bytes."""
    assert Incoming(b"", headers).get("stripe-signature") == "t=1"
    assert Incoming(b"", [*FORMS["asgi"]]).get("x-other") is None


@pytest.mark.parametrize(
    "names",
    [
        (b"stripe-signature", b"stripe-signature"),
        (b"Stripe-Signature", b"stripe-signature", b"STRIPE-SIGNATURE"),
        ("Stripe-Signature", "stripe-signature"),
    ],
)
def test_several_of_a_name_are_joined(names: tuple):
    """As a proxy may do on the way; the other names are found all the same."""
    headers = [(name, b"1" if isinstance(name, bytes) else "1") for name in names]
    request = Incoming(b"", [*headers, headers[0], (b"host", b"x")])

    assert request.get("stripe-signature") == ",".join("1" * (len(names) + 1))
    assert request.get("host") == "x"


@pytest.mark.parametrize(
    ("text", "length"),
    [
        (b"12", 12),
        ("12", 12),
        (" 12 ", 12),
        (None, None),
        ("", None),
        ("-1", None),
        ("1e3", None),
        ("١٢", None),
        (b"\xb2", None),
        ("9" * 5000, 10**18 - 1),
    ],
)
def test_a_length_is_ascii_digits_or_nothing(text, length):
    """Whatever the bytes, nothing is raised."""
    assert read_length(text) == length
