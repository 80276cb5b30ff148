"""The relay's settings."""

from dataclasses import fields

import pytest

from hookloop.errors import ConfigError
from hookloop.tunnel.relay import RelayConfig, RelayLimits
from hookloop.tunnel.relay.config import parse_network

TOKENS = ("hlt_a-token-long-enough",)


@pytest.mark.parametrize(
    "settings",
    [
        {"domain": "tun.example"},
        {"domain": "localhost", "port": 65535},
        {"domain": "a.b", "public_url": "https://tun.example:8443"},
    ],
)
def test_settings_that_work_are_taken(settings):
    """And the tokens are not shown."""
    assert TOKENS[0] not in repr(RelayConfig(**{"tokens": TOKENS, **settings}))


@pytest.mark.parametrize(
    "settings",
    [
        {"domain": ""},
        {"domain": "Tun.example"},
        {"domain": ".example"},
        {"domain": "a", "port": -1},
        {"domain": "a", "port": 65536},
        {"domain": "a", "public_url": "tun.example"},
        {"domain": "a", "public_url": "https://tun.example/path"},
        {"domain": "a", "more_domains": ("B",)},
        {"domain": "a", "more_domains": ("a",)},
        {"domain": "a", "drain_seconds": -1.0},
        {"domain": "a", "hold_seconds": float("nan")},
        {"domain": "a", "admin_port": 70000},
        {"domain": "a", "proxy_protocol": True},
        {"domain": "a", "tokens": ()},
    ],
)
def test_settings_that_cannot_work_are_refused(settings):
    """At the start, not at the first request."""
    with pytest.raises(ConfigError):
        RelayConfig(**{"tokens": TOKENS, **settings})


@pytest.mark.parametrize("name", [field.name for field in fields(RelayLimits)])
@pytest.mark.parametrize("value", [-1, True, "1", None, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_refused(name, value):
    """By its name."""
    with pytest.raises(ConfigError, match=name):
        RelayLimits(**{name: value})


@pytest.mark.parametrize(
    "limits",
    [
        {"head_bytes_max": 64_001},
        {"head_fields_max": 121},
        {"session_credit_bytes": 2**31},
        {"stream_credit_bytes": 16 * 1024 - 1},
        {"connections_max": 1.5},
        {"head_seconds": 0},
        {"sessions_max": 0},
    ],
)
def test_a_limit_that_the_wire_cannot_carry_is_refused(limits):
    """Nor one at which nothing works."""
    with pytest.raises(ConfigError, match=next(iter(limits))):
        RelayLimits(**limits)


@pytest.mark.parametrize(
    "name",
    [
        "body_rate_min",
        "connections_per_address_max",
        "lanes_per_agent_max",
        "upgraded_idle_seconds",
    ],
)
def test_some_limits_may_be_off(name):
    """Those of which the text says so."""
    assert getattr(RelayLimits(**{name: 0}), name) == 0


@pytest.mark.parametrize("text", ["10.0.0.1", " 10.0.0.0/8", "::1", "fd00::/8"])
def test_networks_are_read(text):
    """An address is a network of one."""
    assert parse_network(text).num_addresses


@pytest.mark.parametrize("text", ["", "proxy", "10.0.0.1/8", "10.0.0.0/33"])
def test_what_is_no_network_is_refused(text):
    """10.0.0.1/8 could be one address or sixteen million."""
    with pytest.raises(ConfigError, match="is not a network"):
        parse_network(text)
