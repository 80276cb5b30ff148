"""ngrok.yml: read as far as we can do what it asks for, and not in silence."""

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hookloop.cli.ngrok_file import read_ngrok_yml
from hookloop.cli.project_file import read_project
from hookloop.errors import ConfigError
from hookloop.tunnel.agent.address import Upstream

PATH = Path("ngrok.yml")

VERSION_2 = """
version: "2"
authtoken: 2aBcD
region: eu
log_level: info
tunnels:
  web:
    addr: 3000
    proto: http
    subdomain: shop
    host_header: rewrite
    basic_auth: ["ada:correct-horse"]
    inspect: false
    schemes: [https]
    ip_restriction:
      allow_cidrs: [203.0.113.0/24]
      deny_cidrs: [203.0.113.9/32]
    request_header:
      add: ["X-Team: payments"]
      remove: [Cookie]
    response_header:
      add: ["X-Robots-Tag: noindex"]
      remove: [Server]
    verify_webhook:
      provider: stripe
      secret: whsec_x
  app:
    addr: https://localhost:8443
    proto: http
    domain: app.ngrok.app
  files:
    addr: file:///srv/www
  db:
    addr: 5432
    proto: tcp
"""

VERSION_3 = """
version: 3
agent:
  authtoken: 2aBcD
  console_ui: iftty
endpoints:
  - name: web
    url: https://shop.ngrok.app
    upstream:
      url: 8080
      protocol: http1
  - name: db
    url: tcp://1.tcp.ngrok.io:12345
    upstream:
      url: tcp://localhost:5432
  - upstream:
      url: 9000
"""


def test_version_2_is_read():
    """As ngrok takes it: the Host is preserved unless it says so, and certificates are not read."""
    web, app, files, db = read_ngrok_yml(PATH, VERSION_2).tunnels

    assert (web.label, web.name, web.upstream, web.host_header) == (
        *("web", "shop", "3000", "rewrite"),
    )
    assert web.basic_auth == ("ada:correct-horse",)
    assert (web.allow_cidr, web.deny_cidr) == (("203.0.113.0/24",), ("203.0.113.9/32",))
    assert (web.request_header_add, web.request_header_remove) == (
        *(("X-Team: payments",), ("Cookie",)),
    )
    assert (web.response_header_add, web.response_header_remove) == (
        *(("X-Robots-Tag: noindex",), ("Server",)),
    )
    assert web.guard is not None
    assert app.target() == Upstream("localhost", 8443, "https", is_verified=False)
    assert (app.name, app.host_header) == ("app", "preserve")
    assert files.upstream == "file:///srv/www"
    assert (db.protocol, db.name) == ("tcp", None)


def test_version_3_is_read():
    """Endpoints are a list, and may have no name."""
    web, db, third = read_ngrok_yml(PATH, VERSION_3).tunnels

    assert (web.label, web.protocol, web.name, web.upstream) == ("web", "http", "shop", "8080")
    assert (db.protocol, db.upstream) == ("tcp", "localhost:5432")
    assert (third.label, third.name) == ("endpoint-3", None)


def test_what_is_not_used_is_told():
    """By its line, with what to do in its place where there is something."""
    warnings = read_ngrok_yml(PATH, VERSION_2).warnings

    assert warnings[0] == (
        "ngrok.yml:3: authtoken: not used: a hookloop relay has tokens of its own: "
        "set HOOKLOOP_TOKEN"
    )
    assert [warning.split(": ")[1] for warning in warnings] == [
        *("authtoken", "region", "log_level", "tunnels.web.inspect", "tunnels.web.schemes"),
        "tunnels.app.domain",
    ]


TUNNEL = "version: 2\ntunnels:\n  web:\n    addr: 3000\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TUNNEL + "    oauth: {provider: google}\n", "ngrok.yml:5: tunnels.web.oauth: this cannot"),
        (TUNNEL + "    mutual_tls_cas: ca.pem\n", "cannot be done here: use `proto: tls`"),
        (TUNNEL + "    traffic_policy: {}\n    policy: {x: 1}\n", "no policy engine"),
        (TUNNEL + "    host_heder: rewrite\n", "did you mean host_header?"),
        (TUNNEL + "    ip_restriction: {allow: []}\n", "did you mean allow_cidrs?"),
        (TUNNEL + "    basic_auth: ['ada:short']\n", "under 8 characters"),
        (TUNNEL + "    basic_auth: [1]\n", "not a text, or a list of texts"),
        (TUNNEL + "    request_header: x\n", "not a table of keys"),
        (TUNNEL + "    verify_webhook: {provider: twilio, secret: x}\n", "'twilio' is no provider"),
        (
            "version: 2\ntunnels:\n  web: {proto: http}\n",
            "ngrok.yml:3: tunnels.web: the tunnel has",
        ),
        ("version: 2\ntunnels:\n  web: 3000\n", "a tunnel is a table"),
        ("version: 2\nproxy_url: http://x\n", "ngrok.yml:2: proxy_url: this cannot be done"),
        ("version: 2\nserver_addr: x:443\n", "set HOOKLOOP_RELAY"),
        ("tunnels: {}\n", "version none is not 2 or 3"),
        ("version: 1\n", "version 1 is not 2 or 3"),
        ("version: 3\nendpoints: {}\n", "this is not a list"),
        ("version: 3\nendpoints: [3]\n", "an endpoint is a table"),
        ("version: 3\nendpoints: [{name: x}]\n", "ngrok.yml:2: endpoints.0.upstream: the endpoint"),
        (
            "version: 3\nendpoints:\n- upstream: {url: 80, protocol: http2}\n",
            "ngrok.yml:3: endpoints.0.upstream.protocol",
        ),
        ("version: [", "ngrok.yml is not YAML: "),
        ("- a\n", "holds no settings"),
        ("", "holds no settings"),
        ("version: 2\ntunnels: !!python/object:os.system {}\n", "is not YAML"),
    ],
)
def test_what_cannot_be_done_is_an_error(text, told):
    """A tunnel without the lock its file asks for must not open."""
    with pytest.raises(ConfigError) as refused:
        read_ngrok_yml(PATH, text)

    assert told in str(refused.value)


def test_a_key_that_is_switched_off_is_no_error():
    """`mutual_tls_cas: ""` asks for nothing."""
    text = TUNNEL + "    mutual_tls_cas: ''\n    websocket_tcp_converter: false\n"

    assert len(read_ngrok_yml(PATH, text).tunnels) == 1


def test_the_ending_says_which_file_it_is(tmp_path):
    """The same command takes both."""
    (tmp_path / "ngrok.yml").write_text(VERSION_3)

    assert len(read_project(tmp_path / "ngrok.yml").tunnels) == 3


def test_ports_and_the_proxy_header_of_raw_tunnels_are_read():
    """A port that is ngrok's own is not asked of a relay, which has others."""
    text = """
version: 2
tunnels:
  ours:
    addr: 5432
    proto: tcp
    remote_addr: tun.example:20001
    proxy_proto: 2
  theirs:
    addr: 5432
    proto: tcp
    remote_addr: 1.tcp.ngrok.io:12345
    proxy_proto: "1"
"""
    project = read_ngrok_yml(PATH, text)
    ours, theirs = project.tunnels

    assert (ours.remote_port, ours.proxy_protocol) == (20001, "v2")
    assert (theirs.remote_port, theirs.proxy_protocol) == (0, "v1")
    assert any("the relay chooses the port" in warning for warning in project.warnings)
    with pytest.raises(ConfigError, match="no port at its end"):
        read_ngrok_yml(PATH, text.replace("tun.example:20001", "tun.example"))


# --- laws -----------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *("version", "tunnels", "endpoints", "agent", "addr", "proto", "url", "upstream", "name"),
        *("basic_auth", "ip_restriction", "allow_cidrs", "request_header", "add", "remove"),
        *("verify_webhook", "provider", "secret", "subdomain", "oauth", "http", "3000", "stripe"),
    ]
)
SCALARS = st.one_of(WORDS, st.integers(-1, 70_000), st.booleans(), st.none(), st.floats())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(WORDS, SCALARS), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_whatever_a_file_holds_it_is_read_or_refused_in_words(document):
    """A config is written by hand, and anything can stand where anything else belongs."""
    text = yaml.safe_dump({"version": 3, **document})

    with suppress(ConfigError):
        read_ngrok_yml(PATH, text)
