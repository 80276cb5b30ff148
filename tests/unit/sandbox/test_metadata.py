"""Metadata: merged, removed by empty values, bounded."""

import pytest

from hookloop.sandbox.errors import ApiError
from hookloop.sandbox.metadata import KEYS_MAX, merged_metadata, read_metadata


def test_an_update_merges():
    """Keys that are not named stay."""
    assert merged_metadata({"a": "1", "b": "2"}, {"b": "3", "c": "4"}) == {
        "a": "1",
        "b": "3",
        "c": "4",
    }


def test_an_empty_value_removes_its_key():
    """And one for a key that is not there does nothing."""
    assert merged_metadata({"a": "1", "b": "2"}, {"a": "", "x": ""}) == {"b": "2"}


def test_an_empty_whole_removes_all():
    """``metadata=`` clears it."""
    assert read_metadata("", "metadata") is None
    assert merged_metadata({"a": "1"}, None) == {}


def test_the_number_of_keys_is_bounded_after_the_merge():
    """Fifty stay; one more is refused, and to swap one is fine."""
    full = {f"k{number}": "v" for number in range(KEYS_MAX)}
    assert len(merged_metadata(full, {"k0": "", "new": "v"})) == KEYS_MAX

    with pytest.raises(ApiError, match="up to 50 metadata keys"):
        merged_metadata(full, {"new": "v"})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"k" * 41: "v"}, "1 to 40 characters"),
        ({"": "v"}, "1 to 40 characters"),
        ({"k": "v" * 501}, "up to 500 characters"),
        ({"k": {"nested": "v"}}, "must be strings"),
        ({"k": ["v"]}, "must be strings"),
        (["v"], "Invalid object"),
    ],
)
def test_keys_and_values_have_stripes_bounds(value, words):
    """Forty characters, five hundred, and nothing but text."""
    with pytest.raises(ApiError, match=words):
        read_metadata(value, "metadata")


def test_the_longest_key_and_value_are_taken():
    """The bounds themselves are inside."""
    longest = {"k" * 40: "v" * 500}

    assert read_metadata(longest, "metadata") == longest
