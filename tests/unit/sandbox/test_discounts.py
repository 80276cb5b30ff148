"""Coupons, promotion codes and tax rates."""

import pytest

COUPONS, CODES, RATES = "/v1/coupons", "/v1/promotion_codes", "/v1/tax_rates"


def test_a_coupon_has_an_id_of_eight_letters_or_the_given_one(call):
    """And an update changes its name alone."""
    made = call("POST", COUPONS, "percent_off=25").body
    named = call("POST", COUPONS, "id=SPRING&amount_off=500&currency=USD&duration=forever").body

    assert (len(made["id"]), made["duration"], made["valid"]) == (8, "once", True)
    assert (named["id"], named["currency"]) == ("SPRING", "usd")
    assert call("POST", COUPONS, "id=SPRING&percent_off=1").error["code"] == (
        "resource_already_exists"
    )
    assert call("POST", f"{COUPONS}/SPRING", "name=Spring").body["name"] == "Spring"
    assert [event["type"] for event in call.events()] == [
        "coupon.created",
        "coupon.created",
        "coupon.updated",
    ]


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ("", None),
        ("percent_off=10&amount_off=1&currency=usd", "percent_off"),
        ("percent_off=0", "percent_off"),
        ("percent_off=101", "percent_off"),
        ("amount_off=100", "currency"),
        ("percent_off=10&duration=repeating", "duration_in_months"),
    ],
)
def test_a_coupon_that_makes_no_sense_is_refused(call, form, param):
    """Naming what is wrong."""
    answer = call("POST", COUPONS, form)

    assert (answer.status, answer.error.get("param")) == (400, param)


@pytest.mark.parametrize("spelling", ["coupon={}", "promotion[type]=coupon&promotion[coupon]={}"])
def test_a_promotion_code_takes_the_old_and_the_new_spelling(call, spelling):
    """Of its coupon; the code is made up where none is given."""
    coupon = call("POST", COUPONS, "percent_off=25").body

    made = call("POST", CODES, spelling.format(coupon["id"])).body

    assert made["promotion"] == {"type": "coupon", "coupon": coupon["id"]}
    assert made["code"] == made["code"].upper()
    expanded = call("GET", f"{CODES}/{made['id']}", "expand[]=promotion.coupon").body
    assert expanded["promotion"]["coupon"]["percent_off"] == 25.0


def test_an_active_code_is_unique_in_any_case(call):
    """And free again once it is not active."""
    coupon = call("POST", COUPONS, "percent_off=25").body
    form = f"coupon={coupon['id']}&code="
    first = call("POST", CODES, f"{form}SPRING").body

    assert call("POST", CODES, f"{form}spring").status == 400
    call("POST", f"{CODES}/{first['id']}", "active=false")
    assert call("POST", CODES, f"{form}spring").status == 200
    assert call("POST", f"{CODES}/{first['id']}", "active=true").status == 400
    found = call("GET", CODES, "code=Spring&active=true").body["data"]
    assert [one["code"] for one in found] == ["spring"]


def test_a_coupon_that_is_past_cannot_be_promoted(call):
    """It has expired."""
    coupon = call("POST", COUPONS, f"percent_off=25&redeem_by={int(call.now) + 10}").body
    call.now += 11

    assert call("POST", CODES, f"coupon={coupon['id']}").error["code"] == "coupon_expired"


def test_a_tax_rate_is_kept(call):
    """And only what does not change a tax already taken can be changed."""
    form = "display_name=VAT&inclusive=false&percentage=19.5&country=DE"
    rate = call("POST", RATES, form).body

    assert (rate["percentage"], rate["active"], rate["jurisdiction"]) == (19.5, True, None)
    assert call("POST", f"{RATES}/{rate['id']}", "active=false").body["active"] is False
    assert call("POST", f"{RATES}/{rate['id']}", "percentage=1").status == 400
    assert call("GET", RATES, "active=true").body["data"] == []
