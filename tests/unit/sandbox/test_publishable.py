"""What a key that stands in a web page may do, and what it may not."""

import pytest

INTENTS = "/v1/payment_intents"
PUBLIC = "pk_test_one"  # of the account of sk_test_one


@pytest.fixture
def intent(call):
    return call("POST", INTENTS, "amount=2000&currency=usd").body


def test_it_pays_the_intent_whose_secret_it_knows(call, intent):
    """As a page does: make a method, confirm, look."""
    card = "type=card&card[number]=4242424242424242&card[exp_month]=1&card[exp_year]=31"
    method = call("POST", "/v1/payment_methods", card, key=PUBLIC).body
    secret = f"client_secret={intent['client_secret']}"

    path = f"{INTENTS}/{intent['id']}"
    paid = call("POST", f"{path}/confirm", f"{secret}&payment_method={method['id']}", key=PUBLIC)

    assert (paid.status, paid.body["status"]) == (200, "succeeded")
    assert call("GET", path, secret, key=PUBLIC).body["status"] == "succeeded"


def test_without_the_secret_there_is_no_intent(call, intent):
    """Nor with another one."""
    path = f"{INTENTS}/{intent['id']}"

    assert call("GET", path, key=PUBLIC).status == 404
    wrong = call("GET", path, "client_secret=pi_1_secret_2", key=PUBLIC)
    assert (wrong.status, wrong.error["param"]) == (400, "client_secret")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/customers"),
        ("POST", "/v1/customers"),
        ("POST", INTENTS),
        ("GET", "/v1/events"),
        ("POST", "/v1/refunds"),
    ],
)
def test_everything_else_wants_a_secret_key(call, method, path):
    """403 with its code, and nothing is done."""
    form = "amount=2000&currency=usd" if path == INTENTS else ""
    answer = call(method, path, form, key=PUBLIC)

    assert (answer.status, answer.error["code"]) == (403, "secret_key_required")
    assert call("GET", "/v1/events").body["data"] == []


def test_a_restricted_key_sees_the_same_account(call, intent):
    """It is another key to it."""
    assert call("GET", f"{INTENTS}/{intent['id']}", key="rk_test_one").status == 200
