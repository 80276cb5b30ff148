"""API keys: who is let in, and what a refusal tells."""

from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookloop.sandbox.authentication import authenticate
from hookloop.sandbox.errors import ApiError


def basic(credentials: str) -> str:
    return f"Basic {b64encode(credentials.encode()).decode()}"


@pytest.mark.parametrize(
    "header",
    ["Bearer sk_test_a", "bearer  sk_test_a", basic("sk_test_a:"), basic("sk_test_a")],
)
def test_bearer_and_basic_open_the_same_account(header):
    """curl -u KEY: and the clients' Bearer are one."""
    assert authenticate(header) == authenticate("Bearer sk_test_a")


def test_each_name_has_an_account_of_its_own():
    """What follows _test_ is the account; the key's kind only says what it may do."""
    ids = {
        authenticate(f"Bearer {key}").account_id
        for key in ("sk_test_a", "rk_test_a", "pk_test_a", "sk_test_b")
    }

    assert len(ids) == 2
    assert all(account.startswith("acct_1") and len(account) == 21 for account in ids)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Digest x", "Basic !", basic(":")]
)
def test_no_key_is_asked_for_one(header):
    """401, with the challenge HTTP demands."""
    with pytest.raises(ApiError, match="did not provide an API key") as caught:
        authenticate(header)

    assert caught.value.status == 401
    assert dict(caught.value.headers)["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", ["sk_live_0123456789abcdefghij", "xk_test_0123456789abcdefghij"])
def test_another_key_is_refused_and_not_repeated(key):
    """A live key pasted by mistake must not end in a log."""
    with pytest.raises(ApiError, match="Invalid API Key provided") as caught:
        authenticate(f"Bearer {key}")

    assert key not in caught.value.message
    assert key[8:-4] not in caught.value.message


def test_a_short_wrong_key_is_not_shown_at_all():
    """Eight and four letters of it would be most of it."""
    with pytest.raises(ApiError) as caught:
        authenticate("Bearer hunter2")

    assert "hunter2" not in caught.value.message


@given(st.text())
def test_any_header_is_a_key_or_a_refusal(header):
    """Nothing a client can send makes it fail in another way."""
    with suppress(ApiError):
        assert authenticate(header)
