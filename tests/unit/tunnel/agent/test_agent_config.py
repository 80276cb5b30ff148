"""The agent's settings."""

import pytest

from hookloop.errors import ConfigError
from hookloop.tunnel.agent import AgentConfig, TunnelConfig
from hookloop.tunnel.agent.address import Upstream

LOCAL = Upstream("localhost", 3000)
TUNNEL = TunnelConfig(LOCAL)


@pytest.mark.parametrize(
    "url", ["http://tun.example", "https://tun.example:8443/", "http://[::1]:1"]
)
def test_a_relay_is_scheme_host_and_port(url):
    """And the token is not shown."""
    config = AgentConfig(relay_url=url, token="hlt_secret", tunnels=(TUNNEL,))

    assert "hlt_secret" not in repr(config)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tun.example",
        "ws://tun.example",
        "http://",
        "http://a/path",
        "http://a:0",
        "http://a:99999",
        "http://a:x",
        "http://[::1",
    ],
)
def test_what_is_no_relays_address_is_refused(url):
    """At the start, not at the first dial."""
    with pytest.raises(ConfigError, match="http://host:port"):
        AgentConfig(relay_url=url, token="t", tunnels=(TUNNEL,))


@pytest.mark.parametrize("token", ["", "a b", "é", "a\n"])
def test_what_is_no_token_is_refused(token):
    """A field could not carry it."""
    with pytest.raises(ConfigError, match="token"):
        AgentConfig(relay_url="http://a", token=token, tunnels=(TUNNEL,))


def test_a_tunnel_is_called_by_its_label_or_name():
    """The label is the agent's word for it, the name the relay's."""
    assert TunnelConfig(LOCAL).label == "tunnel"
    assert TunnelConfig(LOCAL, name="shop").label == "shop"
    assert TunnelConfig(LOCAL, name="shop", label="web").label == "web"


@pytest.mark.parametrize(
    ("tunnels", "words"),
    [
        ((TUNNEL, TUNNEL), "label 'tunnel'"),
        ((TunnelConfig(LOCAL, "a", "x"), TunnelConfig(LOCAL, "a", "y")), "name 'a'"),
    ],
)
def test_two_tunnels_cannot_be_the_same(tunnels, words):
    """Requests are led by the name, calls of the API by the label."""
    with pytest.raises(ConfigError, match=words):
        AgentConfig("http://a", "t", tunnels)


def test_a_protocol_is_one_of_three():
    """The message names them."""
    with pytest.raises(ConfigError, match="http, tcp, tls"):
        TunnelConfig(LOCAL, protocol="udp")
