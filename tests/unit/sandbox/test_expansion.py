"""expand[]: known places in full, others refused."""

import pytest

from hookloop.sandbox.errors import ApiError
from hookloop.sandbox.expansion import expanded

EXPANDERS = {
    "sources": lambda item: {"object": "list", "of": item["id"]},
    "settings.method": lambda item: f"method of {item['id']}",
}
ONE = {"id": "cus_1", "object": "customer", "settings": {"method": None, "footer": None}}
LIST = {"object": "list", "data": [ONE, {**ONE, "id": "cus_2"}]}


def test_a_place_is_shown_in_full():
    """And the stored object stays as it is."""
    answer = expanded(ONE, ["sources", "settings.method"], EXPANDERS)

    assert answer["sources"] == {"object": "list", "of": "cus_1"}
    assert answer["settings"] == {"method": "method of cus_1", "footer": None}
    assert "sources" not in ONE


def test_a_list_is_expanded_item_by_item():
    """Paths begin with ``data.``."""
    answer = expanded(LIST, ["data.sources"], EXPANDERS)

    assert [item["sources"]["of"] for item in answer["data"]] == ["cus_1", "cus_2"]


def test_what_lies_deeper_may_be_named():
    """Below a known place the path is not ours to judge."""
    assert "sources" in expanded(ONE, ["sources.data.owner"], EXPANDERS)


@pytest.mark.parametrize(
    ("answer", "path"),
    [(ONE, "name"), (ONE, ""), (ONE, "source"), (ONE, "data.sources"), (LIST, "data"), (LIST, "x")],
)
def test_an_unknown_place_is_refused(answer, path):
    """As Stripe does, rather than ignored."""
    with pytest.raises(ApiError, match="cannot be expanded") as caught:
        expanded(answer, [path], EXPANDERS)

    assert caught.value.status == 400


def test_a_forgotten_data_prefix_is_pointed_out():
    """The commonest mistake has its cure in the message."""
    with pytest.raises(ApiError, match=r"try expanding 'data\.sources' instead"):
        expanded(LIST, ["sources"], EXPANDERS)


def test_the_depth_is_bounded():
    """Four levels are Stripe's bound."""
    with pytest.raises(ApiError, match="more than 4 levels"):
        expanded(ONE, ["sources.a.b.c.d"], EXPANDERS)
