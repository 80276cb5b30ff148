"""Form bodies with nested brackets, and that no bytes upset their reader."""

from contextlib import suppress
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from hookloop.sandbox.params import (
    DEPTH_MAX,
    PAIRS_MAX,
    Params,
    ParamsError,
    Value,
    as_list,
    decode_form,
)

names = st.text(st.characters(blacklist_characters="[]", codec="utf-8"), min_size=1).filter(
    lambda name: not name.isdecimal()
)
values = st.recursive(
    st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4)
        | st.dictionaries(names, inner, min_size=1, max_size=4)
    ),
    max_leaves=20,
)


def listed(value: Value) -> Value:
    """Return *value* with every hash of numbers made the list it stands for."""
    items = as_list(value)
    if items is not None:
        return [listed(item) for item in items]
    if isinstance(value, dict):
        return {key: listed(item) for key, item in value.items()}
    return value


@given(st.dictionaries(names, values, max_size=4))
def test_what_the_official_client_encodes_is_read_back(params: Params):
    """Any nesting of hashes and lists, with any text for names and values."""
    encoded = urlencode(list(_api_encode(params))).encode()

    assert listed(decode_form(encoded)) == params


@given(st.binary())
def test_any_bytes_are_params_or_the_documented_error(encoded: bytes):
    """Nothing a client can send makes the reader fail in another way."""
    with suppress(ParamsError):
        assert isinstance(decode_form(encoded), dict)


@given(st.text("ab[]0=&%+", max_size=60))
def test_any_mix_of_brackets_is_params_or_the_documented_error(form: str):
    """The same, of bytes that look more like a form."""
    with suppress(ParamsError):
        assert isinstance(decode_form(form.encode()), dict)


@pytest.mark.parametrize(
    ("form", "params"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a", {"a": ""}),
        ("a=1&a=2", {"a": "2"}),
        ("a=b=c", {"a": "b=c"}),
        ("a+b=c+d", {"a b": "c d"}),
        ("&&a=1&", {"a": "1"}),
        ("a%5Bb%5D=1", {"a": {"b": "1"}}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[0]=1&a[1]=2", {"a": {"0": "1", "1": "2"}}),
        ("a[0][k]=1&a[0][l]=2", {"a": {"0": {"k": "1", "l": "2"}}}),
        ("a[][k]=1&a[][l]=2&a[][k]=3", {"a": [{"k": "1", "l": "2"}, {"k": "3"}]}),
        ("a[][]=1&a[][]=2", {"a": [["1", "2"]]}),
        ("a[]=1&a[][k]=2", {"a": ["1", {"k": "2"}]}),
        ("a[k][]=1&a[k][]=2", {"a": {"k": ["1", "2"]}}),
        ("a[][k][]=1&a[][k][]=2", {"a": [{"k": ["1", "2"]}]}),
        ("a[][k][l]=1&a[][k]=2", {"a": [{"k": {"l": "1"}}, {"k": "2"}]}),
    ],
)
def test_every_way_of_writing_groups_is_read(form: str, params: Params):
    """Hashes, lists by index, lists by empty brackets, lists of hashes."""
    assert decode_form(form.encode()) == params


@pytest.mark.parametrize(
    "form",
    ["[a]=1", "a[=1", "a]=1", "a[b]c=1", "a[b[c]]=1", "=1", "a=1&a[b]=2", "a[b]=1&a=2",
     "a[]=1&a[b]=2", "a[b]=1&a[]=2", "a=%ff"],
)  # fmt: skip
def test_nonsense_is_refused_by_name(form: str):
    """Half brackets, one name for a value and a group, bytes that are no UTF-8."""
    with pytest.raises(ParamsError):
        decode_form(form.encode())


def test_the_number_of_parameters_is_bounded():
    """A body of a megabyte cannot make a million entries."""
    form = b"&".join(b"a[]=1" for _ in range(PAIRS_MAX))
    assert len(decode_form(form)["a"]) == PAIRS_MAX

    with pytest.raises(ParamsError, match=str(PAIRS_MAX)):
        decode_form(form + b"&a[]=1")


def test_the_depth_of_nesting_is_bounded():
    """A name cannot exhaust the stack."""
    assert decode_form(b"a" + b"[b]" * (DEPTH_MAX - 1) + b"=1")

    with pytest.raises(ParamsError, match="levels deep"):
        decode_form(b"a" + b"[b]" * DEPTH_MAX + b"=1")


def test_a_long_name_is_not_repeated_in_full():
    """An error message stays readable, whatever was sent."""
    with pytest.raises(ParamsError) as caught:
        decode_form(quote("[" + "x" * 10_000).encode())

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("value", "items"),
    [
        (["a"], ["a"]),
        ({"0": "a", "1": "b"}, ["a", "b"]),
        ({"10": "c", "9": "b", "0": "a"}, ["a", "b", "c"]),
        ({"a": "b"}, None),
        ({"0": "a", "b": "c"}, None),
        ({"00": "a"}, None),
        ({}, None),
        ("a", None),
    ],
)
def test_a_hash_of_numbers_may_be_a_list(value: Value, items: list[Value] | None):
    """Ordered by number, gaps closed; anything else is none."""
    assert as_list(value) == items
