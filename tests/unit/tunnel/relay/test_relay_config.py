"""The relay's settings."""

import pytest

from hookloop.errors import ConfigError
from hookloop.tunnel.relay import RelayConfig

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
    assert TOKENS[0] not in repr(RelayConfig(tokens=TOKENS, **settings))


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
    ],
)
def test_settings_that_cannot_work_are_refused(settings):
    """At the start, not at the first request."""
    with pytest.raises(ConfigError):
        RelayConfig(tokens=TOKENS, **settings)
