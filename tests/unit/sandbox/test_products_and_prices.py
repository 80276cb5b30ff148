"""Products, prices and the plans that recurring prices are too."""

import pytest

PRODUCTS, PRICES, PLANS = "/v1/products", "/v1/prices", "/v1/plans"


def types(call) -> list[str]:
    return [event["type"] for event in call.events()]


@pytest.fixture
def product(call):
    return call("POST", PRODUCTS, "name=Book&metadata[shelf]=3").body


def test_a_product_is_what_was_said(call, product):
    """Active, of 14 letters, and told of."""
    assert (product["name"], product["active"], product["type"]) == ("Book", True, "service")
    assert len(product["id"]) == len("prod_") + 14
    assert types(call) == ["product.created"]


def test_a_change_tells_what_was_before(call, product):
    """Only of what changed, metadata key by key."""
    call.now += 5
    call("POST", f"{PRODUCTS}/{product['id']}", "description=d&metadata[shelf]=4&metadata[row]=1")

    (_, updated) = call.events()
    assert updated["data"]["previous_attributes"] == {
        "description": None,
        "metadata": {"shelf": "3", "row": None},
        "updated": product["updated"],
    }


def test_a_product_may_come_with_its_price(call):
    """Which is its default one from then on."""
    form = "name=Book&default_price_data[currency]=EUR&default_price_data[unit_amount]=1500"
    product = call("POST", PRODUCTS, f"{form}&expand[]=default_price").body

    price = product["default_price"]
    assert (price["unit_amount"], price["currency"]) == (1500, "eur")
    assert price["product"] == product["id"]
    assert types(call) == ["price.created", "product.created"]


def test_a_product_with_prices_stays(call, product):
    """Until they are gone, as at Stripe."""
    call("POST", PRICES, f"product={product['id']}&currency=usd&unit_amount=1")

    assert call("DELETE", f"{PRODUCTS}/{product['id']}").status == 400


def test_a_product_without_prices_goes(call, product):
    """And is missing afterwards."""
    assert call("DELETE", f"{PRODUCTS}/{product['id']}").body["deleted"] is True
    assert call("GET", f"{PRODUCTS}/{product['id']}").status == 404


def test_the_default_price_is_one_of_the_products(call, product):
    """Another product's is refused."""
    form = "currency=usd&unit_amount=1&product_data[name]=Pen"
    other = call("POST", PRICES, form).body

    answer = call("POST", f"{PRODUCTS}/{product['id']}", f"default_price={other['id']}")

    assert (answer.status, answer.error["param"]) == (400, "default_price")


def test_a_recurring_price_is_a_plan_too(call, product):
    """One id, two objects, and both are told of, the plan first."""
    form = f"product={product['id']}&currency=usd&unit_amount=900&recurring[interval]=month"
    price = call("POST", PRICES, form).body
    plan = call("GET", f"{PLANS}/{price['id']}").body

    assert price["recurring"]["interval_count"] == 1
    assert (price["type"], price["unit_amount_decimal"]) == ("recurring", "900")
    assert (plan["amount"], plan["interval"], plan["product"]) == (900, "month", product["id"])
    assert types(call)[1:] == ["plan.created", "price.created"]


def test_a_plan_is_a_price_too(call):
    """With an id of the caller's, and a product described with it."""
    form = "id=gold&amount=500&currency=usd&interval=year&product[name]=Gold"
    plan = call("POST", PLANS, form).body
    price = call("GET", f"{PRICES}/gold").body
    call("POST", f"{PLANS}/gold", "nickname=Golden")

    assert (plan["id"], price["unit_amount"], price["recurring"]["interval"]) == (
        "gold",
        500,
        "year",
    )
    assert types(call)[-2:] == ["plan.updated", "price.updated"]
    assert [one["id"] for one in call("GET", PLANS).body["data"]] == ["gold"]
    assert call("DELETE", f"{PLANS}/gold").body["deleted"] is True
    assert call("GET", f"{PLANS}/gold").status == 404


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ("unit_amount=1", "currency"),
        ("currency=usd", "unit_amount"),
        ("currency=usd&unit_amount=-1", "unit_amount"),
        ("currency=usd&unit_amount=1&unit_amount_decimal=1", "unit_amount"),
        ("currency=usd&billing_scheme=tiered", "tiers"),
        ("currency=usd&unit_amount=1&product=prod_x", "product"),
        ("currency=usd&unit_amount=1&recurring[interval]=age", "recurring[interval]"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(call, product, form, param):
    """Naming what is wrong."""
    default = "" if "product=" in form else f"&product={product['id']}"
    answer = call("POST", PRICES, form + default)

    assert (answer.status, answer.error["param"]) == (400, param)


def test_a_fraction_of_a_cent_is_kept(call, product):
    """As a decimal, and then there is no whole amount."""
    form = f"product={product['id']}&currency=usd&unit_amount_decimal=0.5"

    price = call("POST", PRICES, form).body

    assert (price["unit_amount"], price["unit_amount_decimal"]) == (None, "0.5")


def test_a_lookup_key_is_one_prices(call, product):
    """Until it is handed over."""
    form = f"product={product['id']}&currency=usd&unit_amount=1&lookup_key=standard"
    old = call("POST", PRICES, form).body
    assert call("POST", PRICES, form).status == 400

    new = call("POST", PRICES, f"{form}&transfer_lookup_key=true").body

    found = call("GET", PRICES, "lookup_keys[]=standard").body["data"]
    assert [price["id"] for price in found] == [new["id"]]
    assert call("GET", f"{PRICES}/{old['id']}").body["lookup_key"] is None


def test_prices_are_filtered(call, product):
    """By what they are of, and how often they recur."""
    base = f"product={product['id']}&currency=usd&unit_amount=1"
    call("POST", PRICES, base)
    monthly = call("POST", PRICES, f"{base}&recurring[interval]=month").body
    call("POST", PRICES, f"{base}&recurring[interval]=year")

    answer = call("GET", PRICES, f"product={product['id']}&recurring[interval]=month&active=true")

    assert [price["id"] for price in answer.body["data"]] == [monthly["id"]]
