"""Tunnel names: DNS labels, easy to say and hard to guess."""

from random import Random

import pytest

from hookloop.tunnel.relay.names import is_valid_name, random_name


@pytest.mark.parametrize("name", ["a", "shop", "a-b", "0", "a" * 63, "a--b"])
def test_a_label_in_lower_case_is_valid(name):
    """Up to the 63 characters of DNS."""
    assert is_valid_name(name)


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "A", "a_b", "a.b", "a" * 64, "xn--a", "a\n", "é", "www", "api"]
)
def test_all_else_is_not(name):
    """Nor are IDNA's own labels, or the relay's."""
    assert not is_valid_name(name)


def test_random_names_are_valid_and_differ():
    """Two words and eight characters that nobody confuses."""
    random = Random(7)
    names = {random_name(random) for _ in range(500)}

    assert len(names) == 500
    assert all(is_valid_name(name) for name in names)
    assert not any(set(name.rpartition("-")[2]) & set("01lo") for name in names)
