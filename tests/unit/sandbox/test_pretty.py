"""JSON as Stripe prints it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from hookloop.sandbox.pretty import pretty

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_it_prints_what_the_standard_library_prints(value):
    """The same text, character by character; only sooner."""
    assert pretty(value) == json.dumps(value, indent=2, ensure_ascii=False)
