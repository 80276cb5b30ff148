"""What belongs to a customer: cards the old way, tax ids, and what they are owed."""

from typing import Any

import pytest

CUSTOMERS = "/v1/customers"


def types(call) -> list[str]:
    return [event["type"] for event in call.events()]


@pytest.fixture
def customer(call) -> str:
    return call("POST", CUSTOMERS, "name=Ada").body["id"]


def seen(call, customer: str, query: str = "") -> dict[str, Any]:
    return call("GET", f"{CUSTOMERS}/{customer}", query).body


# Cards


def test_the_first_card_is_the_default(call, customer):
    """And another one is not."""
    first = call("POST", f"{CUSTOMERS}/{customer}/sources", "source=tok_visa").body
    second = call("POST", f"{CUSTOMERS}/{customer}/sources", "source=tok_amex").body

    shown = seen(call, customer, "expand[]=sources&expand[]=default_source")
    assert [card["id"] for card in shown["sources"]["data"]] == [second["id"], first["id"]]
    assert (shown["default_source"]["id"], shown["default_source"]["brand"]) == (
        first["id"],
        "Visa",
    )
    assert types(call)[1:] == [
        "customer.source.created",
        "customer.updated",
        "customer.source.created",
    ]


def test_a_customer_may_come_with_a_card_and_be_charged(call):
    """By the default source, without naming it."""
    made = call("POST", CUSTOMERS, "source=tok_mastercard").body

    charge = call("POST", "/v1/charges", f"amount=500&currency=usd&customer={made['id']}").body

    assert made["default_source"] == charge["payment_method"]
    assert charge["payment_method_details"]["card"]["brand"] == "mastercard"
    form = f"amount=500&currency=usd&customer={made['id']}&confirm=true&payment_method="
    assert call("POST", "/v1/payment_intents", form + made["default_source"]).status == 200


def test_a_new_source_is_the_default_from_then_on(call, customer):
    """Given with an update of the customer."""
    call("POST", f"{CUSTOMERS}/{customer}", "source=tok_visa")
    first = seen(call, customer)["default_source"]
    call("POST", f"{CUSTOMERS}/{customer}", "source=tok_chargeCustomerFail")

    declined = call("POST", "/v1/charges", f"amount=500&currency=usd&customer={customer}")

    assert declined.status == 402
    call("POST", f"{CUSTOMERS}/{customer}", f"default_source={first}")
    assert call("POST", "/v1/charges", f"amount=500&currency=usd&customer={customer}").status == 200
    assert call("POST", f"{CUSTOMERS}/{customer}", "default_source=card_x").status == 400


def test_a_card_that_goes_leaves_the_next_one(call, customer):
    """Or none, and the customer is told of each time."""
    path = f"{CUSTOMERS}/{customer}/sources"
    first = call("POST", path, "source=tok_visa").body["id"]
    second = call("POST", path, "source=tok_visa").body["id"]
    assert call("POST", f"{path}/{first}", "name=Ada&exp_year=2040").body["exp_year"] == 2040

    assert call("DELETE", f"{path}/{first}").body["deleted"] is True
    assert seen(call, customer)["default_source"] == second
    call("DELETE", f"{path}/{second}")
    assert seen(call, customer)["default_source"] is None
    assert types(call)[-2:] == ["customer.source.deleted", "customer.updated"]
    assert call("GET", f"{path}/{first}").status == 404


@pytest.mark.parametrize(("token", "status"), [("tok_chargeDeclined", 402), ("tok_nonsense", 400)])
def test_a_card_that_cannot_be_kept_is_not(call, customer, token, status):
    """And the customer is as before."""
    answer = call("POST", f"{CUSTOMERS}/{customer}/sources", f"source={token}")

    assert answer.status == status
    assert seen(call, customer)["default_source"] is None
    assert call("GET", f"{CUSTOMERS}/{customer}/payment_methods").body["data"] == []


# Tax ids


@pytest.mark.parametrize(
    ("value", "status"),
    [("DE000000000", "verified"), ("DE111111111", "unverified"), ("DE222222222", "pending")],
)
def test_a_european_tax_id_is_looked_up_later(call, customer, value, status):
    """By the numbers Stripe's test mode has for it."""
    path = f"{CUSTOMERS}/{customer}/tax_ids"
    made = call("POST", path, f"type=eu_vat&value={value}").body
    assert (made["country"], made["verification"]["status"]) == ("DE", "pending")
    call.now += 2

    assert call("GET", f"{path}/{made['id']}").body["verification"]["status"] == status
    assert types(call)[1] == "customer.tax_id.created"


def test_tax_ids_come_with_a_customer_and_go(call):
    """Shown on request."""
    form = "tax_id_data[0][type]=us_ein&tax_id_data[0][value]=12-3456789"
    made = call("POST", CUSTOMERS, form).body
    (tax_id,) = seen(call, made["id"], "expand[]=tax_ids")["tax_ids"]["data"]
    assert (tax_id["country"], tax_id["verification"]["status"]) == ("US", "unavailable")

    assert call("DELETE", f"{CUSTOMERS}/{made['id']}/tax_ids/{tax_id['id']}").body["deleted"]
    assert call("GET", f"{CUSTOMERS}/{made['id']}/tax_ids").body["data"] == []
    assert types(call) == ["customer.created", "customer.tax_id.created", "customer.tax_id.deleted"]


# What they are owed


def test_a_balance_is_moved_and_every_move_is_kept(call, customer):
    """The customer's own balance is the last one's end."""
    path = f"{CUSTOMERS}/{customer}/balance_transactions"
    call("POST", path, "amount=-500&currency=EUR&description=credit")
    second = call("POST", path, "amount=200&currency=eur").body

    assert (second["ending_balance"], second["type"]) == (-300, "adjustment")
    assert (seen(call, customer)["balance"], seen(call, customer)["currency"]) == (-300, "eur")
    assert [one["amount"] for one in call("GET", path).body["data"]] == [200, -500]
    changed = call("POST", f"{path}/{second['id']}", "metadata[k]=v").body
    assert changed["metadata"] == {"k": "v"}


@pytest.mark.parametrize("part", ["sources", "tax_ids", "balance_transactions"])
def test_another_customers_things_are_not_found(call, customer, part):
    """Nor those of nobody."""
    other = call("POST", CUSTOMERS, "source=tok_visa").body["id"]
    call("POST", f"{CUSTOMERS}/{other}/tax_ids", "type=us_ein&value=1")
    call("POST", f"{CUSTOMERS}/{other}/balance_transactions", "amount=1&currency=usd")
    (mine,) = call("GET", f"{CUSTOMERS}/{other}/{part}").body["data"]

    assert call("GET", f"{CUSTOMERS}/{customer}/{part}/{mine['id']}").status == 404
    assert call("GET", f"{CUSTOMERS}/cus_x/{part}").status == 404
