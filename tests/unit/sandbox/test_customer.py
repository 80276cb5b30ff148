"""Customers: their shape, their changes, and the events that tell of them."""

from typing import Any, get_args, get_origin

import pytest
import stripe

CUSTOMERS = "/v1/customers"

ONLY_EXPANDED = {
    "cash_balance",
    "invoice_credit_balance",
    "sources",
    "subscriptions",
    "tax",
    "tax_ids",
}
ONLY_IF_SET = {"business_name", "individual_name"}
ONLY_IF_DELETED = {"deleted"}

EVERYTHING = (
    "name=Ada&email=ada@example.com&description=d&phone=1&balance=-5&tax_exempt=reverse"
    "&business_name=Engines&individual_name=Ada&preferred_locales[]=en&preferred_locales[]=it"
    "&address[city]=London&shipping[name]=A&shipping[address][line1]=L&shipping[phone]=2"
    "&metadata[k]=v&invoice_prefix=ADA1&next_invoice_sequence=7&validate=true"
    "&invoice_settings[footer]=f&invoice_settings[custom_fields][0][name]=n"
    "&invoice_settings[custom_fields][0][value]=v"
    "&invoice_settings[rendering_options][amount_tax_display]=exclude_tax"
)


@pytest.fixture
def customer(call) -> dict[str, Any]:
    return call("POST", CUSTOMERS, "name=Ada&metadata[plan]=pro&address[city]=Rome").body


def update(call, customer: dict[str, Any], form: str) -> dict[str, Any]:
    answer = call("POST", f"{CUSTOMERS}/{customer['id']}", form)
    assert answer.status == 200, answer.body
    return answer.body


# Shape


def fits(value: Any, annotation: Any) -> bool:
    """Say whether *value* is what the official package's *annotation* promises."""
    if value is None:
        return type(None) in get_args(annotation)
    if isinstance(value, dict):
        classes = [part for part in (annotation, *get_args(annotation)) if isinstance(part, type)]
        shapes = [part.__annotations__ for part in classes if hasattr(part, "OBJECT_NAME")]
        shapes += [
            part.__annotations__ for part in classes if issubclass(part, stripe.StripeObject)
        ]
        shape = shapes[0] if shapes else {}
        return all(name not in shape or fits(item, shape[name]) for name, item in value.items())
    if isinstance(value, list):
        return any(get_origin(part) is list for part in (annotation, *get_args(annotation)))
    simple = [annotation, *get_args(annotation)]
    simple += [inner for part in simple for inner in get_args(part)]
    return type(value) in simple or value in simple


@pytest.mark.parametrize("form", ["", EVERYTHING])
def test_a_customer_has_the_official_shape(call, form):
    """Every field of the installed package's class, of its type, and no other."""
    made = call("POST", CUSTOMERS, form).body
    annotations = stripe.Customer.__annotations__
    expected = set(annotations) - {"OBJECT_NAME"} - ONLY_EXPANDED - ONLY_IF_DELETED

    assert expected - ONLY_IF_SET <= set(made) <= expected
    assert [name for name, value in made.items() if not fits(value, annotations[name])] == []


def test_what_is_given_is_kept(call):
    """Each parameter at its place."""
    made = call("POST", CUSTOMERS, EVERYTHING).body

    assert made["balance"] == -5
    assert made["preferred_locales"] == ["en", "it"]
    assert made["address"]["city"] == "London"
    assert made["address"]["country"] is None
    assert made["shipping"]["address"]["line1"] == "L"
    assert made["shipping"]["phone"] == "2"
    assert made["business_name"] == "Engines"
    assert made["invoice_prefix"] == "ADA1"
    assert made["next_invoice_sequence"] == 7
    assert made["invoice_settings"]["custom_fields"] == [{"name": "n", "value": "v"}]
    assert made["invoice_settings"]["rendering_options"] == {
        "amount_tax_display": "exclude_tax",
        "template": None,
    }
    assert call("GET", f"{CUSTOMERS}/{made['id']}").body == made


def test_expansions_are_shown_only_when_asked_for(call, customer):
    """Lists that are empty so far, references that are null so far."""
    form = "&".join(f"expand[]={name}" for name in sorted(ONLY_EXPANDED | {"default_source"}))

    shown = call("GET", f"{CUSTOMERS}/{customer['id']}", form).body

    assert set(shown) - set(customer) == ONLY_EXPANDED
    assert shown["subscriptions"]["url"] == f"/v1/customers/{customer['id']}/subscriptions"


def test_every_expansion_the_endpoint_declares_works(call, customer):
    """On one customer and on a list of them."""
    from hookloop.sandbox.objects.customer import EXPANDERS

    for _, name in EXPANDERS:
        one = call("GET", f"{CUSTOMERS}/{customer['id']}", f"expand[]={name}")
        many = call("GET", CUSTOMERS, f"expand[]=data.{name}")
        assert (one.status, many.status) == (200, 200), name


# Changes


def test_an_empty_string_unsets(call):
    """To null, or to the field's own idea of nothing."""
    made = call("POST", CUSTOMERS, EVERYTHING).body
    form = (
        "name=&email=&address=&shipping=&tax_exempt=&preferred_locales=&business_name=&metadata="
        "&invoice_settings[custom_fields]=&invoice_settings[rendering_options]="
    )

    changed = update(call, made, form)

    assert changed["name"] is changed["email"] is changed["address"] is changed["shipping"] is None
    assert (changed["tax_exempt"], changed["preferred_locales"]) == ("none", [])
    assert "business_name" not in changed
    assert changed["metadata"] == {}
    assert changed["invoice_settings"]["custom_fields"] is None
    assert changed["invoice_settings"]["rendering_options"] is None
    assert changed["invoice_settings"]["footer"] == "f"


def test_an_update_leaves_the_rest(call, customer):
    """What is not named stays, inside the address and metadata too."""
    changed = update(call, customer, "address[line1]=Via 1&metadata[tier]=2")

    assert changed["name"] == "Ada"
    assert (changed["address"]["city"], changed["address"]["line1"]) == ("Rome", "Via 1")
    assert changed["metadata"] == {"plan": "pro", "tier": "2"}


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("email=nobody", "email_invalid"),
        ("email=a b@example.com", "email_invalid"),
        ("email=@example.com", "email_invalid"),
        ("invoice_prefix=lower", None),
        ("tax_exempt=maybe", None),
        ("shipping[name]=A", "parameter_missing"),
        ("id=x", "resource_already_exists"),
    ],
)
def test_what_stripe_refuses_is_refused(call, form, code):
    """With the code Stripe gives."""
    call("POST", CUSTOMERS, "id=x")

    answer = call("POST", CUSTOMERS, form)

    assert (answer.status, answer.error.get("code")) == (400, code)


@pytest.mark.parametrize(
    "form", ["tax[validate_location]=deferred", "cash_balance[settings]=", "test_clock=clock_1"]
)
def test_parameters_of_other_resources_are_not_pretended(call, form):
    """501, since to take them and do nothing would be a lie."""
    assert call("POST", CUSTOMERS, form).status == 501


# Deletion


def test_a_deleted_customer_says_that_it_was(call, customer):
    """200 and deleted, not 404; but it can be changed no more."""
    path = f"{CUSTOMERS}/{customer['id']}"
    tombstone = {"id": customer["id"], "object": "customer", "deleted": True}

    assert call("DELETE", path).body == tombstone
    assert call("GET", path).body == tombstone
    assert call("POST", path, "name=x").status == 404
    assert call("DELETE", path).status == 404
    assert call("GET", CUSTOMERS).body["data"] == []


def test_an_unknown_customer_is_named(call):
    """In Stripe's words."""
    answer = call("GET", "/v1/customers/cus_x")

    assert (answer.status, answer.error["code"]) == (404, "resource_missing")
    assert answer.error["message"] == "No such customer: 'cus_x'"
    assert answer.error["param"] == "id"


# Events


def test_every_change_is_an_event(call, customer):
    """Created, updated, deleted, each with the object as it then was."""
    update(call, customer, "name=Grace")
    call("DELETE", f"{CUSTOMERS}/{customer['id']}")

    created, updated, deleted = call.events()

    assert created["type"] == "customer.created"
    assert created["data"] == {"object": customer}
    assert updated["type"] == "customer.updated"
    assert updated["data"]["object"]["name"] == "Grace"
    assert updated["data"]["previous_attributes"] == {"name": "Ada"}
    assert deleted["type"] == "customer.deleted"
    assert deleted["data"]["object"]["name"] == "Grace"


def test_previous_attributes_name_all_that_changed(call, customer):
    """And only that, with old values, inside hashes."""
    update(call, customer, "name=&metadata[plan]=&metadata[x]=1&address[city]=Oslo&phone=1")

    assert call.events()[-1]["data"]["previous_attributes"] == {
        "address": {"city": "Rome"},
        "metadata": {"plan": "pro", "x": None},
        "name": "Ada",
        "phone": None,
    }


def test_nothing_changed_is_no_event(call, customer):
    """Setting what is set already tells nobody anything."""
    update(call, customer, "name=Ada&metadata[plan]=pro&address[city]=Rome")
    update(call, customer, "")

    assert len(call.events()) == 1


def test_an_event_names_the_request_behind_it(call):
    """Its id, and its idempotency key if it had one."""
    answer = call("POST", CUSTOMERS, headers={"idempotency-key": "k"})

    assert call.events()[0]["request"] == {
        "id": answer.headers["Request-Id"],
        "idempotency_key": "k",
    }


# Lists


@pytest.fixture
def ten(call) -> list[str]:
    """Ten customers, newest first, a second apart."""
    ids = []
    for number in range(10):
        call.now += 1
        email = f"{number % 2}@example.com"
        ids.append(call("POST", CUSTOMERS, f"id=cus_{number}&email={email}").body["id"])
    return ids[::-1]


def ids_of(answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [item["id"] for item in answer.body["data"]]


def test_a_list_is_newest_first_and_ten_long(call, ten):
    """With where it came from, and whether there is more."""
    call("POST", CUSTOMERS, "id=cus_newest")

    answer = call("GET", CUSTOMERS)

    assert ids_of(answer) == ["cus_newest", *ten[:9]]
    assert (answer.body["object"], answer.body["url"]) == ("list", CUSTOMERS)
    assert answer.body["has_more"] is True


@pytest.mark.parametrize(
    ("query", "wanted", "has_more"),
    [
        ("limit=3", slice(0, 3), True),
        ("limit=3&starting_after=cus_7", slice(3, 6), True),
        ("limit=3&starting_after=cus_2", slice(8, 10), False),
        ("starting_after=cus_0", slice(0, 0), False),
        ("limit=3&ending_before=cus_3", slice(3, 6), True),
        ("limit=3&ending_before=cus_7", slice(0, 2), False),
        ("ending_before=cus_9", slice(0, 0), False),
        ("email=1@example.com&limit=2", slice(0, 4, 2), True),
        ("email=none@example.com", slice(0, 0), False),
        ("created[gt]=1800000008", slice(0, 2), False),
        ("created[gte]=1800000008", slice(0, 3), False),
        ("created[lt]=1800000002", slice(9, 10), False),
        ("created[lte]=1800000002", slice(8, 10), False),
        ("created[gt]=1800000002&created[lte]=1800000004", slice(6, 8), False),
        ("created=1800000005", slice(5, 6), False),
    ],
)
def test_pages_and_filters(call, ten, query, wanted, has_more):
    """Cursors are exclusive; pages before a cursor are the ones next to it."""
    answer = call("GET", CUSTOMERS, query)

    assert ids_of(answer) == ten[wanted]
    assert answer.body["has_more"] is has_more


def test_a_deleted_customer_is_still_a_cursor(call, ten):
    """A page turned while someone deletes goes on where it was."""
    call("DELETE", f"{CUSTOMERS}/cus_7")

    assert ids_of(call("GET", CUSTOMERS, "limit=2&starting_after=cus_7")) == ["cus_6", "cus_5"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("starting_after=cus_x", 400, "resource_missing"),
        ("ending_before=cus_x", 400, "resource_missing"),
        ("starting_after=cus_1&ending_before=cus_2", 400, "parameters_exclusive"),
        ("limit=0", 400, "parameter_invalid_integer"),
        ("limit=101", 400, "parameter_invalid_integer"),
        ("created[after]=1", 400, "parameter_unknown"),
        ("created=soon", 400, "parameter_invalid_integer"),
        ("nmae=x", 400, "parameter_unknown"),
    ],
)
def test_a_list_refuses_what_it_cannot_do(call, ten, query, status, code):
    """With the code Stripe gives."""
    answer = call("GET", CUSTOMERS, query)

    assert (answer.status, answer.error["code"]) == (status, code)


# What a customer pays with


def test_a_customer_may_come_with_a_payment_method(call):
    """Attached first, and the default one from the beginning."""
    form = "payment_method=pm_card_visa&invoice_settings[default_payment_method]=pm_card_visa"
    made = call("POST", CUSTOMERS, form).body

    default = made["invoice_settings"]["default_payment_method"]
    (kept,) = call("GET", f"{CUSTOMERS}/{made['id']}/payment_methods").body["data"]
    assert (kept["id"], kept["customer"]) == (default, made["id"])
    assert call("GET", f"{CUSTOMERS}/{made['id']}/payment_methods/{default}").body == kept
    assert [event["type"] for event in call.events()] == [
        "payment_method.attached",
        "customer.created",
    ]


def test_a_declined_card_makes_no_customer(call):
    """402, and nothing is left."""
    assert call("POST", CUSTOMERS, "payment_method=pm_card_chargeDeclined").status == 402
    assert call("GET", CUSTOMERS).body["data"] == []


def test_the_default_method_is_the_customers_own(call, customer):
    """It has to be attached first."""
    method = call("POST", "/v1/payment_methods/pm_card_visa/attach", f"customer={customer['id']}")
    form = "invoice_settings[default_payment_method]="

    refused = call("POST", f"{CUSTOMERS}/{customer['id']}", f"{form}pm_card_visa")
    assert (refused.status, refused.error["code"]) == (400, "resource_missing")
    changed = update(call, customer, form + method.body["id"])
    assert changed["invoice_settings"]["default_payment_method"] == method.body["id"]
