"""expand[]: references and known places in full, others refused."""

import pytest

from hookloop.sandbox.errors import ApiError
from hookloop.sandbox.expansion import expanded
from hookloop.shapes.blank import blank

EXPANDERS = {("customer", "sources"): lambda _, item: {"object": "list", "of": item["id"]}}
ONE = blank("customer", {"id": "cus_1", "default_source": "card_1"})
LIST = {"object": "list", "data": [ONE, {**ONE, "id": "cus_2"}]}
CHARGE = blank("charge", {"id": "ch_1", "customer": "cus_1", "payment_intent": "pi_gone"})
INTENT = blank("payment_intent", {"id": "pi_1", "latest_charge": "ch_1"})


class Shelf:
    """Finds what a transaction would."""

    def find(self, kind, wanted):
        known = {("customer", "cus_1"): ONE, ("charge", "ch_1"): CHARGE}
        return known.get((kind, wanted)) or ({"id": "card_1"} if kind == "card" else None)


def in_full(answer, *paths):
    return expanded(answer, paths, EXPANDERS, Shelf())


def test_a_place_is_shown_in_full():
    """And the stored object stays as it is."""
    answer = in_full(ONE, "sources")

    assert answer["sources"] == {"object": "list", "of": "cus_1"}
    assert "sources" not in ONE


def test_references_are_followed_as_deep_as_the_path():
    """A charge in an intent, and the customer in the charge."""
    answer = in_full(INTENT, "latest_charge.customer", "latest_charge")

    assert answer["latest_charge"]["customer"]["id"] == "cus_1"
    assert INTENT["latest_charge"] == "ch_1"


def test_a_reference_to_one_of_several_kinds_is_found_by_its_id():
    """A customer's source may be a card, an account or a source."""
    assert in_full(ONE, "default_source")["default_source"] == {"id": "card_1"}


def test_what_is_not_there_stays_what_it_is():
    """Null, or the id of something this sandbox never saw."""
    answer = in_full(CHARGE, "balance_transaction.source", "payment_intent")

    assert (answer["balance_transaction"], answer["payment_intent"]) == (None, "pi_gone")


def test_a_list_is_expanded_item_by_item():
    """Paths begin with ``data.``."""
    answer = in_full(LIST, "data.sources")

    assert [item["sources"]["of"] for item in answer["data"]] == ["cus_1", "cus_2"]


def test_a_reference_inside_a_nested_object_is_found():
    """Its class is known from the object around it."""
    settings = {"invoice_settings": {"default_payment_method": None}}
    answer = in_full({**ONE, **settings}, "invoice_settings.default_payment_method")

    assert answer["invoice_settings"]["default_payment_method"] is None


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        (ONE, "name"),
        (ONE, ""),
        (ONE, "source"),
        (ONE, "shipping"),
        (ONE, "data.sources"),
        (LIST, "data"),
        (LIST, "x"),
        (LIST, "data.x"),
        (INTENT, "latest_charge.amount"),
    ],
)
def test_an_unknown_place_is_refused(answer, path):
    """As Stripe does, rather than ignored."""
    with pytest.raises(ApiError, match="cannot be expanded") as caught:
        in_full(answer, path)

    assert caught.value.status == 400


def test_a_forgotten_data_prefix_is_pointed_out():
    """The commonest mistake has its cure in the message."""
    with pytest.raises(ApiError, match=r"try expanding 'data\.sources' instead"):
        in_full(LIST, "sources")


def test_the_depth_is_bounded():
    """Four levels are Stripe's bound."""
    with pytest.raises(ApiError, match="more than 4 levels"):
        in_full(ONE, "sources.a.b.c.d")
