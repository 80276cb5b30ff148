"""The range of ports, and the limits of connections that carry bytes."""

import pytest

from hookloop.errors import ConfigError
from hookloop.tunnel.relay.raw_settings import RawSettings


@pytest.mark.parametrize(
    ("text", "ports"),
    [("", range(0)), ("20000-20999", range(20000, 21000)), (" 5432 ", range(5432, 5433))],
)
def test_a_range_is_two_ports_or_one(text, ports):
    """Both of them belong to it."""
    assert RawSettings(tcp_ports=text).ports == ports


@pytest.mark.parametrize("text", ["a-b", "2-1", "0-5", "1-65536", "1-2-3", "1,2", "-5"])
def test_what_is_no_range_is_said_to_be_none(text):
    """At the start."""
    with pytest.raises(ConfigError, match="give --tcp-ports 20000-20999"):
        RawSettings(tcp_ports=text)


@pytest.mark.parametrize(
    "settings",
    [{"idle_seconds": -1.0}, {"stall_seconds": float("inf")}, {"connections_per_tunnel_max": 0}],
)
def test_limits_that_cannot_work_are_refused(settings):
    """By name."""
    with pytest.raises(ConfigError, match=f"raw.{next(iter(settings))}"):
        RawSettings(**settings)
