"""Events of every type have the shape their class declares, and hold what a test wants."""

import json
import subprocess
import sys

import pytest
import stripe

from hookloop import ConfigError
from hookloop.shapes.object_shape import Nested, Page, Reference, Several, shape_of
from hookloop.shapes.package import object_class, snapshot_types
from hookloop.testing import make, make_thin, sign
from hookloop.testing.thin import thin_types

SECRET = "whsec_test"
AT = 1_800_000_000


def missing_fields(value, kind, path="object"):
    """Yield the path of every required field that is not in *value*."""
    if isinstance(kind, Nested) and isinstance(value, dict):
        for name, field in shape_of(kind.class_).fields.items():
            if name in value and (value[name] is not None or field.is_optional):
                yield from missing_fields(value[name], field.kind, f"{path}.{name}")
            elif not field.is_optional:
                yield f"{path}.{name}"
    elif isinstance(kind, Several) and value:
        for item in value:
            yield from missing_fields(item, kind.item, path)
    elif isinstance(kind, Page) and value:
        for item in value["data"]:
            yield from missing_fields(item, kind.item, path)


@pytest.mark.parametrize("event_type", sorted(snapshot_types()))
def test_the_official_package_takes_an_event_of_every_type(event_type: str):
    """It verifies, its object is of the right class, and no required field is missing."""
    event = make(event_type)
    request = sign(event, SECRET)

    read = stripe.Webhook.construct_event(request.body, request.header("Stripe-Signature"), SECRET)

    class_ = object_class(event_type)
    assert read.type == event_type
    assert type(read.data.object) is class_
    assert [*missing_fields(event["data"]["object"], Nested(class_))] == []


def test_all_types_of_the_installed_package_are_known():
    """A list of our own would be short by a few at every release of Stripe's."""
    assert len(snapshot_types()) >= 265
    assert len(thin_types()) >= 300


@pytest.mark.parametrize("event_type", sorted(thin_types()))
def test_the_official_package_takes_a_thin_event_of_every_type(event_type: str):
    """It verifies as an event notification of its own class."""
    request = sign(make_thin(event_type), SECRET)
    client = stripe.StripeClient("sk_test_x")

    read = client.parse_event_notification(request.body, request.header("Stripe-Signature"), SECRET)

    assert read.type == event_type
    assert type(read).__name__ != "UnknownEventNotification"


@pytest.mark.parametrize(
    ("event_type", "class_"),
    [
        ("invoice.paid", stripe.Invoice),
        ("customer.subscription.created", stripe.Subscription),
        ("charge.dispute.created", stripe.Dispute),
        ("issuing_card.created", stripe.issuing.Card),
        ("source.transaction.created", stripe.SourceTransaction),
        ("billing.alert.triggered", stripe.billing.AlertTriggered),
        ("application_fee.refund.updated", stripe.ApplicationFeeRefund),
        ("account.external_account.created", stripe.BankAccount),
    ],
)
def test_the_object_is_what_the_type_speaks_of(event_type: str, class_: type):
    """Also where the type's name is not the object's."""
    assert object_class(event_type) is class_


def test_the_same_arguments_give_the_same_event():
    """A failure seen once can be seen again."""
    assert make("invoice.paid", seed=1) == make("invoice.paid", seed=1)
    assert make_thin("v1.invoice.paid", seed=1) == make_thin("v1.invoice.paid", seed=1)


@pytest.mark.parametrize(("seed", "other_seed"), [(1, 2), (None, None)])
def test_two_events_have_two_ids(seed: int | None, other_seed: int | None):
    """Handlers that skip duplicates must not skip the second one a test makes."""
    one, other = make("invoice.paid", seed=seed), make("invoice.paid", seed=other_seed)

    assert one["id"] != other["id"]
    assert one["data"]["object"]["id"] != other["data"]["object"]["id"]


def test_the_fields_of_the_envelope_can_be_set():
    """Connect, live mode, the API version and the time are the event's own."""
    event = make(
        "invoice.paid",
        id="evt_1",
        livemode=True,
        account="acct_1",
        api_version="2020-08-27",
        created=AT,
    )

    assert (event["id"], event["account"], event["created"]) == ("evt_1", "acct_1", AT)
    assert event["api_version"] == "2020-08-27"
    assert event["livemode"] is event["data"]["object"]["livemode"] is True


def test_overrides_reach_inside():
    """By keyword, by path, by mapping, into lists: only what is named changes."""
    event = make(
        "customer.subscription.updated",
        {"items.data.0.price.unit_amount": 700},
        items__data__0__quantity=3,
        metadata={"order.id": "6735"},
        cancellation_details={"reason": "payment_failed"},
    )

    subscription = event["data"]["object"]
    item = subscription["items"]["data"][0]
    assert (item["price"]["unit_amount"], item["quantity"]) == (700, 3)
    assert item["price"]["object"] == "price"
    assert subscription["metadata"] == {"order.id": "6735"}
    assert subscription["cancellation_details"]["reason"] == "payment_failed"
    assert "comment" in subscription["cancellation_details"]


def test_a_list_is_given_as_a_list():
    """Each item is a sample with the fields the test names."""
    event = make("invoice.paid", lines=[{"amount": 1}, {"amount": 2}])

    lines = event["data"]["object"]["lines"]
    assert [line["amount"] for line in lines["data"]] == [1, 2]
    assert {line["object"] for line in lines["data"]} == {"line_item"}
    assert lines["object"] == "list"


def test_the_place_after_the_last_adds_an_item():
    """A second line needs no spelling out of the first."""
    event = make("invoice.paid", lines__data__1__amount=5)

    assert [line["object"] for line in event["data"]["object"]["lines"]["data"]] == [
        "line_item"
    ] * 2


def test_an_expandable_field_is_expanded_by_a_mapping():
    """As `expand` does on an API request; events themselves carry the id."""
    plain = make("invoice.paid")["data"]["object"]
    expanded = make("invoice.paid", customer={"name": "Ada"})["data"]["object"]

    assert plain["customer"].startswith("cus_")
    assert (expanded["customer"]["object"], expanded["customer"]["name"]) == ("customer", "Ada")


def test_a_field_named_as_an_argument_goes_into_the_mapping():
    """`account` of a bank account is not `account` of the event."""
    event = make("account.external_account.created", {"account": "acct_owner", "id": "ba_1"})

    assert event["data"]["object"]["account"] == "acct_owner"
    assert (event["data"]["object"]["id"], event["id"][:4]) == ("ba_1", "evt_")
    assert "account" not in event


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"amount_payed": 1}, "invoice has no field 'amount_payed': did you mean 'amount_paid'?"),
        ({"automatic_tax.enabeld": 1}, "'automatic_tax.enabeld': did you mean 'enabled'?"),
        ({"lines.data.7.amount": 1}, "a list of 1, and '7' is no place in it"),
        ({"lines.date": []}, "has no 'date': did you mean 'data'?"),
        ({"lines": "x"}, "'lines' of invoice is a list"),
        ({"automatic_tax": True}, "'automatic_tax' of invoice is an object"),
        ({"amount_paid": {"usd": 1}}, "'amount_paid' of invoice is a plain value"),
        ({"customer.nmae": 1}, "did you mean 'name'?"),
    ],
)
def test_an_override_that_cannot_be_names_the_field(fields: dict, sentence: str):
    """A misspelt override would otherwise be a test of nothing."""
    with pytest.raises(ConfigError) as caught:
        make("invoice.paid", fields)

    assert sentence in str(caught.value)


def test_an_unknown_type_names_the_closest():
    """A typo in a type would make an event no handler is for."""
    with pytest.raises(ConfigError, match=r"did you mean 'invoice\.paid'"):
        make("invoice.payed")


def test_an_update_tells_what_was_there_before():
    """By default, other values of the fields that were set."""
    event = make("customer.updated", email="new@example.com", metadata={"plan": "pro"})

    previous = event["data"]["previous_attributes"]
    assert set(previous) == {"email", "metadata"}
    assert previous["email"] not in (None, "new@example.com")
    assert previous["metadata"] == {}


@pytest.mark.parametrize(
    "event_type", sorted(name for name in snapshot_types() if name.endswith(".updated"))
)
def test_every_update_changes_something(event_type: str):
    """Its previous attributes name fields of the object, and hold other values."""
    data = make(event_type)["data"]

    previous = data["previous_attributes"]
    assert previous
    assert all(data["object"][name] != value for name, value in previous.items())


def test_previous_attributes_can_be_told():
    """On any type; a field that does not exist is refused there as well."""
    event = make("invoice.paid", previous={"status": "open"})

    assert event["data"]["previous_attributes"] == {"status": "open"}
    with pytest.raises(ConfigError, match="did you mean 'status'"):
        make("invoice.paid", previous={"statsu": "open"})


def test_other_events_have_no_previous_attributes():
    """Stripe sends them for updates alone."""
    assert "previous_attributes" not in make("customer.created")["data"]


@pytest.mark.parametrize(
    ("event_type", "field", "value"),
    [
        ("invoice.paid", "status", "paid"),
        ("invoice.paid", "amount_remaining", 0),
        ("invoice.payment_failed", "status", "open"),
        ("invoice.payment_failed", "amount_paid", 0),
        ("invoice.created", "status", "draft"),
        ("charge.failed", "failure_code", "card_declined"),
        ("charge.refunded", "refunded", True),
        ("payment_intent.succeeded", "status", "succeeded"),
        ("payment_intent.payment_failed", "amount_received", 0),
        ("customer.subscription.deleted", "status", "canceled"),
        ("checkout.session.completed", "status", "complete"),
        ("payout.failed", "status", "failed"),
    ],
)
def test_the_object_is_in_the_state_its_event_tells(event_type: str, field: str, value: object):
    """A paid invoice that is still open would be no test of anything."""
    assert make(event_type)["data"]["object"][field] == value


def test_one_sample_speaks_of_one_customer():
    """The items of a subscription name the subscription they are in."""
    subscription = make("customer.subscription.created")["data"]["object"]

    assert subscription["items"]["data"][0]["subscription"] == subscription["id"]
    assert subscription["id"] in subscription["items"]["url"]


def test_a_thin_event_names_its_object():
    """By id, type and the path to fetch it from."""
    event = make_thin("v1.invoice.paid", related_id="in_1", context="acct_1", created=AT)

    assert event["related_object"] == {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"}
    assert (event["context"], event["created"]) == ("acct_1", "2027-01-15T08:00:00.000Z")
    assert "data" not in event


@pytest.mark.parametrize(
    ("function", "event_type", "other"),
    [
        (make, "v1.invoice.paid", "make_thin"),
        (make_thin, "invoice.paid", "make"),
    ],
)
def test_the_other_kind_of_event_names_the_other_function(function, event_type: str, other: str):
    """A thin event takes no fields: a test that sets one is wrong about the type."""
    with pytest.raises(ConfigError, match=rf"is for {other}\(\)"):
        function(event_type)


def test_a_thin_twin_names_its_snapshot():
    """Both name the same object; `snapshot_event` is the key to handle one of them."""
    snapshot = make("invoice.paid", {"id": "in_1"}, account="acct_1")

    twin = make_thin("v1.invoice.paid", twin=snapshot)

    assert twin["snapshot_event"] == snapshot["id"]
    assert (twin["related_object"]["id"], twin["context"]) == ("in_1", "acct_1")
    assert twin["id"] != snapshot["id"]


def test_a_twin_of_another_type_is_a_mistake():
    """It would prove nothing about twins."""
    with pytest.raises(ConfigError, match=r"would be v1\.invoice\.created"):
        make_thin("v1.invoice.paid", twin=make("invoice.created"))


def test_references_are_ids():
    """As Stripe sends events: expandable fields are never expanded."""
    fields = shape_of(stripe.Charge).fields
    charge = make("charge.succeeded")["data"]["object"]

    references = [name for name, field in fields.items() if isinstance(field.kind, Reference)]
    assert {type(charge[name]) for name in references} == {str, type(None)}


def test_without_stripe_the_line_to_type_is_named():
    """And importing the testing face needs neither stripe nor any other third party."""
    program = """
import sys
sys.modules["stripe"] = None
from hookloop.testing import make
try:
    make("invoice.paid")
except ValueError as error:
    print(error)
"""

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )

    assert "pip install stripe" in done.stdout


def test_an_event_is_plain_json():
    """What comes back from its own JSON is equal to it."""
    event = make("invoice.paid")

    assert json.loads(sign(event, SECRET).body) == event
