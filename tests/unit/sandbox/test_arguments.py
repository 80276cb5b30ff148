"""Declared fields: what is taken, and Stripe's words for what is not."""

import pytest

from hookloop.sandbox.arguments import (
    Boolean,
    Choice,
    Hash,
    Integer,
    ListOf,
    MetadataField,
    Text,
    Unsimulated,
    read_arguments,
)
from hookloop.sandbox.errors import ApiError

FIELDS = {
    "name": Text(chars_max=5),
    "fixed": Text(unsettable=False),
    "count": Integer(minimum=1, maximum=10),
    "flag": Boolean(),
    "color": Choice(("red", "green", "blue")),
    "tone": Choice(("low", "high"), unsettable=True),
    "tags": ListOf(Text(unsettable=False), items_max=2),
    "notes": ListOf(Text(), items_max=2, unsettable=True),
    "address": Hash({"city": Text(), "zip": Text(required=True)}),
    "spot": Hash({"x": Integer()}, unsettable=False),
    "metadata": MetadataField(),
    "test_clock": Unsimulated(),
}


@pytest.mark.parametrize(
    ("params", "arguments"),
    [
        ({}, {}),
        ({"name": "Ada"}, {"name": "Ada"}),
        ({"name": ""}, {"name": None}),
        ({"count": "10"}, {"count": 10}),
        ({"flag": "false"}, {"flag": False}),
        ({"color": "red"}, {"color": "red"}),
        ({"tone": ""}, {"tone": None}),
        ({"tags": ["a", "b"]}, {"tags": ["a", "b"]}),
        ({"tags": {"0": "a", "1": "b"}}, {"tags": ["a", "b"]}),
        ({"notes": ""}, {"notes": None}),
        ({"address": {"zip": "1"}}, {"address": {"zip": "1"}}),
        ({"address": ""}, {"address": None}),
        ({"metadata": {"a": "b"}}, {"metadata": {"a": "b"}}),
        ({"metadata": ""}, {"metadata": None}),
    ],
)
def test_params_become_typed_values(params, arguments):
    """What was not sent is absent, what was sent empty is None."""
    assert read_arguments(FIELDS, params) == arguments


@pytest.mark.parametrize(
    ("params", "code", "param", "words"),
    [
        ({"nmae": "x"}, "parameter_unknown", "nmae", "Received unknown parameter: nmae"),
        ({"x": "", "y": ""}, "parameter_unknown", "x", "Received unknown parameters: x, y"),
        ({"address": {"zip": "1", "x": ""}}, "parameter_unknown", "address[x]", "address[x]"),
        ({"address": {}}, "parameter_missing", "address[zip]", "Missing required param"),
        ({"name": "abcdef"}, None, "name", "must be at most 5 characters"),
        ({"name": {"a": "b"}}, None, "name", "Invalid string"),
        ({"fixed": ""}, "parameter_invalid_empty", "fixed", "You passed an empty string"),
        ({"count": "ten"}, "parameter_invalid_integer", "count", "Invalid integer: ten"),
        ({"count": ["1"]}, "parameter_invalid_integer", "count", "Invalid integer"),
        ({"count": "٣"}, "parameter_invalid_integer", "count", "Invalid integer"),
        ({"count": ""}, "parameter_invalid_empty", "count", "empty string"),
        ({"count": "0"}, "parameter_invalid_integer", "count", "greater than or equal to 1"),
        ({"count": "11"}, "parameter_invalid_integer", "count", "less than or equal to 10"),
        ({"flag": "yes"}, None, "flag", "Invalid boolean: yes"),
        ({"flag": {"a": "b"}}, None, "flag", "Invalid boolean"),
        ({"flag": ""}, "parameter_invalid_empty", "flag", "empty string"),
        ({"color": "pink"}, None, "color", "must be one of red, green, or blue"),
        ({"color": ""}, "parameter_invalid_empty", "color", "empty string"),
        ({"tags": "a"}, None, "tags", "Invalid array"),
        ({"tags": ""}, "parameter_invalid_empty", "tags", "empty string"),
        ({"tags": ["a", {"b": "c"}]}, None, "tags[1]", "Invalid string"),
        ({"tags": ["a", "b", "c"]}, None, "tags", "maximum 2"),
        ({"address": "Rome"}, None, "address", "Invalid object"),
        ({"spot": ""}, "parameter_invalid_empty", "spot", "empty string"),
        ({"metadata": "x"}, None, "metadata", "Invalid object"),
    ],
)
def test_wrong_values_are_refused_in_stripes_words(params, code, param, words):
    """A status of 400, the code Stripe documents, and the parameter's full name."""
    with pytest.raises(ApiError) as caught:
        read_arguments(FIELDS, params)

    error = caught.value
    assert (error.status, error.code, error.param) == (400, code, param)
    assert words in error.message


def test_a_required_parameter_is_asked_for():
    """Before any value is looked at."""
    with pytest.raises(ApiError, match=r"Missing required param: url\.") as caught:
        read_arguments({"url": Text(required=True), "n": Integer()}, {"n": "x"})

    assert caught.value.param == "url"


def test_a_parameter_that_is_not_simulated_says_so():
    """To take it and do nothing would be a lie."""
    with pytest.raises(ApiError, match="does not simulate the parameter test_clock") as caught:
        read_arguments(FIELDS, {"test_clock": "clock_1"})

    assert caught.value.status == 501
