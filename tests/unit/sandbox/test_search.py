"""Search: the query language, and pages of what fits."""

import pytest

from hookloop.sandbox.errors import ApiError
from hookloop.sandbox.search import parse_query

FIELDS = {"name", "email", "amount", "metadata", "card.last4"}
ADA = {
    "name": "Ada Lovelace",
    "email": None,
    "amount": 500,
    "metadata": {"order": "6735"},
    "card": {"last4": "4242"},
}


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ('name:"Ada Lovelace"', True),
        ("name:'ada lovelace'", True),
        ('name:"Ada"', False),
        ('name~"love"', True),
        ('-name~"love"', False),
        ("amount>499", True),
        ("amount>500", False),
        ("amount>=500 AND amount<=500", True),
        ('amount<500 OR name~"Ada"', True),
        ('metadata["order"]:"6735"', True),
        ("metadata['order']:'1'", False),
        ('metadata["other"]:null', True),
        ("email:null", True),
        ("-email:null", False),
        ('email:"x"', False),
        ('card.last4:"4242"', True),
        ('name:"say \\"hi\\""', False),
    ],
)
def test_a_query_finds_what_fits(query, fits):
    """Equality, parts, comparisons, negation, null, metadata and nested fields."""
    assert parse_query(query, FIELDS)(ADA) is fits


@pytest.mark.parametrize(
    "query",
    [
        "",
        "name",
        "name:",
        'phone:"1"',
        'metadata:"1"',
        'name["x"]:"1"',
        'name:"a" AND amount>1 OR amount<1',
        'name:"a" AND',
        'name~"ab"',
        'amount>"much"',
        'name:"a" name:"b"',
        " AND ".join(["amount>1"] * 11),
        'name:"a',
    ],
)
def test_what_is_no_query_is_refused(query):
    """With the reason, as a bad parameter."""
    with pytest.raises(ApiError) as caught:
        parse_query(query, FIELDS)

    assert (caught.value.status, caught.value.param) == (400, "query")


def test_pages_follow_each_other(call):
    """By the page the last answer told, and the count only on request."""
    for number in range(5):
        call("POST", "/v1/products", f"name=Book {number}")
    call("POST", "/v1/products", "name=Pen")
    query = 'query=name~"book"&limit=3'

    first = call("GET", "/v1/products/search", f"{query}&expand[]=total_count").body
    second = call("GET", "/v1/products/search", f"{query}&page={first['next_page']}").body

    assert [one["name"][-1] for one in first["data"]] == ["4", "3", "2"]
    assert (first["total_count"], first["has_more"]) == (5, True)
    assert [one["name"][-1] for one in second["data"]] == ["1", "0"]
    assert (second["next_page"], "total_count" in second) == (None, False)


@pytest.mark.parametrize("page", ["x", "cHJvZF9ub25l"])
def test_a_made_up_page_is_refused(call, page):
    """Whether it is no token or names nothing."""
    answer = call("GET", "/v1/products/search", f'query=name~"book"&page={page}')

    assert (answer.status, answer.error["param"]) == (400, "page")
