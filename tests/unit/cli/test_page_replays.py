"""Whither a page's replays go, and what becomes of a store that cannot be written."""

import asyncio
import socket
from dataclasses import dataclass

import pytest

from hookloop.cli.page_replays import PageReplays
from hookloop.errors import ConfigError, StoreError
from hookloop.exchange import RequestHead
from hookloop.inspector import CaptureStore, parse_redactions
from hookloop.inspector.replay_plan import Shot
from hookloop.tunnel.agent.config import TunnelConfig, parse_upstream


@dataclass
class Open:
    config: TunnelConfig
    name: str
    label: str = ""


@pytest.fixture
def closed_port():
    """A port that nobody listens at while the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def send(port, names, tunnel="shop", upstream=None, store=None):
    config = TunnelConfig(parse_upstream(f"127.0.0.1:{port}"))
    store = store or CaptureStore(None)
    redaction = parse_redactions(["query:pin"])
    replays = PageReplays(lambda: [Open(config, name) for name in names], store, redaction)
    head = RequestHead(b"GET", b"/?pin=1234", ((b"Host", b"x"),))
    shots = [Shot(0.0, "cap_1", tunnel, head, b"", "")]
    return asyncio.run(replays.send(shots, upstream))[0]


def test_a_capture_of_a_tunnel_that_has_gone_goes_to_the_only_one(closed_port):
    """Of two, no guess is made."""
    assert "no tunnel" not in send(closed_port, ["other"]).failure
    assert "no tunnel 'shop'" in send(closed_port, ["other", "third"]).failure
    assert "no tunnel" not in send(closed_port, ["other", "shop"]).failure


def test_what_the_user_redacts_is_redacted_of_replays_too(closed_port):
    """They are kept in the same store."""
    assert send(closed_port, ["shop"]).request.target == b"/?pin=[redacted]"


@pytest.mark.parametrize("upstream", ["unix:/run/docker.sock", "/etc", "file:///etc", "~", "x y"])
def test_a_page_opens_no_socket_or_folder(closed_port, upstream):
    """Every account of the machine reaches the pages."""
    with pytest.raises(ConfigError):
        send(closed_port, ["shop"], upstream=upstream)


def test_a_store_that_cannot_be_written_is_one_error(closed_port):
    """Which the page can show."""

    class Full(CaptureStore):
        def add(self, captured, *, now):
            raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="disk is full"):
        send(closed_port, ["shop"], store=Full(None))
