"""How many, and how often."""

import pytest

from hookloop.tunnel.relay.quotas import AddressQuota, RateQuota


def test_an_address_has_so_many_connections():
    """One that ends makes room; others have their own."""
    quota = AddressQuota(2)
    first = quota.enter("192.0.2.1")
    quota.enter("192.0.2.1")

    assert quota.enter("192.0.2.1") is None
    assert quota.enter("192.0.2.2")
    quota.leave(first)
    assert quota.enter("192.0.2.1") == first


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("unknown:thing", "unknown:other", False),
    ],
)
def test_who_has_a_network_is_one(one, other, is_same):
    """Addresses within a /64 cost nothing."""
    quota = AddressQuota(1)
    quota.enter(one)

    assert (quota.enter(other) is None) is is_same


def test_an_address_that_has_gone_is_forgotten():
    """And a limit of 0 is none."""
    quota = AddressQuota(0)
    keys = [quota.enter("192.0.2.1") for _ in range(5)]
    for key in keys:
        quota.leave(key)

    assert len(quota) == 0


def test_a_name_gets_a_burst_and_then_its_rate():
    """Whoever is refused is told when to come back."""
    rate = RateQuota(2.0, burst=3)

    assert [rate.take("shop", 10.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert rate.take("shop", 10.25) == 0.25
    assert rate.take("shop", 10.5) == 0.0
    assert rate.take("other", 10.5) == 0.0


def test_a_bucket_holds_no_more_than_a_burst():
    """However long nobody came."""
    rate = RateQuota(100.0, burst=2)
    rate.take("shop", 0.0)

    assert [rate.take("shop", 1000.0) for _ in range(3)] == [0.0, 0.0, 0.01]


def test_no_rate_is_any_rate():
    """The default."""
    rate = RateQuota(0.0, burst=1)

    assert {rate.take("shop", 0.0) for _ in range(100)} == {0.0}


def test_names_that_are_quiet_are_forgotten():
    """Names come and go for months."""
    rate = RateQuota(10.0, burst=10)
    for number in range(50_000):
        rate.take(f"name-{number}", number / 100)

    assert len(rate._buckets) < 2_000
