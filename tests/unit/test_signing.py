"""Stripe's signatures as pure functions: what is returned, what is raised, and what is kept."""

import hashlib
import hmac
import pickle

import pytest

from hookloop.errors import SignatureError
from hookloop.signing import KEYS_MAX, match_stripe, stripe_signature_header, verify_stripe

NOW = 1_750_000_000
BODY = b'{"id": "evt_1"}'


def test_the_signature_is_the_hmac_that_stripe_documents():
    """Computed here from the one-line recipe, without our code."""
    digest = hmac.new(b"whsec_a", b"%d.%b" % (NOW, BODY), hashlib.sha256).hexdigest()

    assert verify_stripe(BODY, f"t={NOW},v1={digest}", ["whsec_a"], now=NOW) == 0


@pytest.mark.parametrize("v0", ["0" * 64, "f" * 63, "", "anything"])
def test_the_v0_of_test_mode_proves_nothing_and_hinders_nothing(v0: str):
    """It is there beside the v1 in everything Stripe sends from test mode."""
    header = stripe_signature_header(BODY, ["whsec_a"], signed_at=NOW)

    assert verify_stripe(BODY, f"{header},v0={v0}", ["whsec_a"], now=NOW) == 0


@pytest.mark.parametrize(
    ("header", "now", "reason"),
    [
        (None, NOW, "missing"),
        ("t=1", NOW, "malformed"),
        ("t=1,v1=" + "0" * 64, NOW, "mismatch"),
        (stripe_signature_header(BODY, ["whsec_a"], signed_at=NOW), NOW + 301, "too_old"),
        (stripe_signature_header(BODY, ["whsec_a"], signed_at=NOW), NOW - 301, "too_new"),
        (stripe_signature_header(BODY, ["whsec_a"], signed_at=NOW), float("nan"), "too_new"),
    ],
)
def test_a_refusal_is_the_same_returned_and_raised(header: str | None, now: float, reason: str):
    """The two functions differ in nothing else."""
    returned = match_stripe(BODY, header, ["whsec_a"], now, 300)
    with pytest.raises(SignatureError) as raised:
        verify_stripe(BODY, header, ["whsec_a"], now=now)

    assert isinstance(returned, SignatureError)
    assert (returned.reason, str(returned)) == (raised.value.reason, str(raised.value))
    assert returned.reason == reason


def test_both_ends_of_the_tolerance_are_within_it():
    """Five minutes old is not over five minutes old."""
    header = stripe_signature_header(BODY, ["whsec_a"], signed_at=NOW)

    assert [verify_stripe(BODY, header, ["whsec_a"], now=NOW + off) for off in (-300, 300)] == [
        0,
        0,
    ]


def test_more_secrets_than_are_kept_ready_all_work():
    """The one that is not kept is made again."""
    secrets = [f"whsec_{number}" for number in range(KEYS_MAX + 2)]
    headers = [stripe_signature_header(BODY, [secret], signed_at=NOW) for secret in secrets]

    for _ in range(2):
        for index, header in enumerate(headers):
            assert verify_stripe(BODY, header, secrets, now=NOW) == index


def test_a_signature_error_survives_pickling():
    """Pools and task queues send what was raised to another process."""
    error = pickle.loads(pickle.dumps(SignatureError("mismatch", "nothing fits")))

    assert (error.reason, str(error)) == ("mismatch", "nothing fits")


@pytest.mark.parametrize(
    "secret", ["k", "k" * 63, "k" * 64, "k" * 65, "k" * 500, "\0", "clé", "鍵" * 30]
)
def test_a_key_of_any_length_is_that_of_the_standard_library(secret: str):
    """Our two kept hashes are its HMAC: keys up to a block, over it, and not ASCII."""
    digest = hmac.digest(secret.encode(), b"%d.%b" % (NOW, BODY), "sha256").hex()
    other = hmac.digest(secret.encode() + b"x", b"%d.%b" % (NOW, BODY), "sha256").hex()

    assert verify_stripe(BODY, f"t={NOW},v1={digest}", [secret], now=NOW) == 0
    with pytest.raises(SignatureError):
        verify_stripe(BODY, f"t={NOW},v1={other}", [secret], now=NOW)
