"""previous_attributes: only what changed, with the values it had."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hookloop.sandbox.difference import previous_attributes

scalars = st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2)
metadata = st.dictionaries(st.text("abc", min_size=1, max_size=2), st.text("xy", max_size=2))
address = st.none() | st.fixed_dictionaries({"city": scalars, "line1": scalars})
objects = st.fixed_dictionaries(
    {
        "name": st.none() | st.text("ab", max_size=2),
        "balance": st.integers(0, 3),
        "address": address,
        "locales": st.lists(st.text("ab", max_size=1), max_size=2),
        "settings": st.fixed_dictionaries({"footer": scalars, "fields": st.lists(scalars)}),
        "metadata": metadata,
    },
    optional={"nickname": st.text("ab", min_size=1, max_size=2)},
)


def rolled_back(new: dict[str, Any], previous: dict[str, Any]) -> dict[str, Any]:
    """Return *new* with *previous* laid over it: what a handler does to see the old object."""
    old = dict(new)
    for key, before in previous.items():
        if isinstance(before, dict) and isinstance(new.get(key), dict):
            old[key] = rolled_back(new[key], before)
        else:
            old[key] = before
    return old


def without_nulls(value: Any) -> Any:
    """An absent key and a null one say the same."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return value


@given(objects, objects)
def test_laid_over_the_new_object_they_give_the_old_one(old, new):
    """Whatever changed, nothing of the old object is lost."""
    previous = previous_attributes(old, new)

    assert without_nulls(rolled_back(new, previous)) == without_nulls(old)


@given(objects)
def test_nothing_changed_is_nothing_told(value):
    """No keys at all, however deep the object is."""
    assert previous_attributes(value, dict(value)) == {}


def test_hashes_are_compared_inside():
    """Only the part of a hash that changed is named."""
    old = {"address": {"city": "Rome", "line1": "Via 1"}, "metadata": {"a": "1", "b": "2"}}
    new = {"address": {"city": "Oslo", "line1": "Via 1"}, "metadata": {"b": "2", "c": "3"}}

    assert previous_attributes(old, new) == {
        "address": {"city": "Rome"},
        "metadata": {"a": "1", "c": None},
    }


def test_lists_are_wholes():
    """A list that changed is told in full, as it was."""
    assert previous_attributes({"l": ["a", "b"]}, {"l": ["a"]}) == {"l": ["a", "b"]}


def test_a_hash_that_appears_was_null():
    """And one that goes is told in full."""
    assert previous_attributes({"a": None}, {"a": {"b": 1}}) == {"a": None}
    assert previous_attributes({"a": {"b": 1}}, {"a": None}) == {"a": {"b": 1}}
