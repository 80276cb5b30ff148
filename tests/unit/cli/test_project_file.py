"""hookloop.toml: what it may say, and how its mistakes are told."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookloop.cli.project_file import (
    TOP_KEYS,
    TUNNEL_KEYS,
    Project,
    find_project_file,
    read_hookloop_toml,
    read_project,
)
from hookloop.errors import ConfigError
from hookloop.tunnel.agent.address import Upstream

PATH = Path("hookloop.toml")
WHOLE = """
relay = "https://tun.example"
token = "${TOKEN}"

[tunnels.web]
upstream = 3000
name = "shop"
host_header = "preserve"
origin = "rewrite"
basic_auth = "ada:correct-horse"
allow_cidr = ["203.0.113.0/24", "198.51.100.1"]
deny_cidr = []
request_header_add = ["X-Team: payments"]
request_header_remove = "Cookie"
response_header_add = "X-Robots-Tag: noindex"
response_header_remove = ["Server"]
connect_seconds = 2
response_seconds = 30.5

[tunnels."hooks"]
upstream = "https://localhost:8443"
upstream_insecure = true
verify_webhook = "stripe"
secret = ["whsec_one", "${SECRET}"]
catch = true
catch_path = "/hooks/*"
catch_status = 200
catch_dir = "caught"

[tunnels.db]
upstream = "localhost:5432"
protocol = "tcp"
remote_port = 20001
proxy_protocol = "v2"
idle_seconds = 3600
"""


def read(text: str, **environment: str) -> Project:
    return read_hookloop_toml(PATH, text, environment)


def test_a_whole_file_is_read():
    """Each key ends where the option of its name would."""
    project = read(WHOLE, TOKEN="hlt_x", SECRET="whsec_two")
    web, hooks, db = project.tunnels

    assert (project.relay, project.token) == ("https://tun.example", "hlt_x")
    assert (web.label, web.name, web.upstream) == ("web", "shop", "3000")
    assert web.basic_auth == ("ada:correct-horse",)
    assert web.allow_cidr == ("203.0.113.0/24", "198.51.100.1")
    assert web.request_header_remove == ("Cookie",)
    assert (web.connect_seconds, web.response_seconds) == (2.0, 30.5)
    assert hooks.target() == Upstream("localhost", 8443, "https", is_verified=False)
    assert hooks.guard is not None
    caught = hooks.config(Upstream("localhost", 8443)).catch
    assert (caught.rules.status, caught.rules.paths) == (200, ("/hooks/*",))
    assert caught.folder == Path("caught").resolve()
    assert web.config(Upstream("localhost", 3000)).catch is None
    assert (db.protocol, db.name) == ("tcp", None)
    tunnel = db.config(db.target())
    assert tunnel.upstream == Upstream("localhost", 5432, "tcp")
    assert (tunnel.remote_port, tunnel.proxy_protocol, tunnel.idle_seconds) == (20001, "v2", 3600)


def test_nothing_secret_is_shown():
    """A project ends in tracebacks and logs like any value."""
    shown = repr(read(WHOLE, TOKEN="hlt_secret", SECRET="whsec_two"))

    assert not any(word in shown for word in ("hlt_secret", "correct-horse", "whsec"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("relais = 'x'", "hookloop.toml:1: relais: there is no key 'relais' here; did you mean"),
        (
            "[tunnels.web]\nupstream = 3000\n\nhost_headr = 'rewrite'",
            "hookloop.toml:4: tunnels.web.host_headr: there is no key 'host_headr' here; did you",
        ),
        ("[tunnels.web]\nupstream = 3000\nxyz = 1", "known are upstream, name, protocol"),
        (
            "[tunnels.web]\nname = 'shop'",
            "hookloop.toml:1: tunnels.web: the tunnel has no upstream",
        ),
        ("[tunnels.a]\nupstream = 1\n[tunnels.b]\nupstream = 'x'", "hookloop.toml:3: tunnels.b:"),
        (
            "[tunnels.web]\nupstream = true",
            "hookloop.toml:2: tunnels.web.upstream: this is not a port",
        ),
        ("[tunnels.web]\nupstream = 3000\nname = 3", "this is not a text in quotes"),
        ("[tunnels.web]\nupstream = 3000\nresponse_seconds = 0", "not a number above 0"),
        ("[tunnels.web]\nupstream = 3000\nupstream_insecure = 'no'", "not true or false"),
        ("[tunnels.web]\nupstream = 3000\nallow_cidr = [1]", "a text in quotes, or a list of them"),
        ("[tunnels.web]\nupstream = 3000\nallow_cidr = 'here'", "'here' is no network"),
        ("[tunnels.web]\nupstream = 3000\nprotocol = 'udp'", "http, tcp, tls"),
        ("[tunnels.web]\nupstream = './x'\nprotocol = 'tcp'", "a folder is served over http"),
        ("[tunnels.web]\nupstream = 3000\nverify_webhook = 'paypal'", "github, shopify, slack"),
        ("[tunnels.web]\nupstream = 3000\nverify_webhook = 'stripe'", "secret is needed"),
        ("[tunnels.web]\nupstream = 3000\nsecret = 'whsec_x'", "add verify_webhook"),
        ("token = '${NOT_SET}'", "hookloop.toml:1: token: the environment has no NOT_SET"),
        ("tunnels = 3", "tunnels: this is not a table"),
        (
            "[tunnels]\nweb = 3000",
            "hookloop.toml:2: tunnels.web: a tunnel is a table: [tunnels.web]",
        ),
        ("[tunnels", "hookloop.toml is not TOML: "),
    ],
)
def test_a_mistake_is_told_with_its_key_and_line(text, told):
    """And with what was probably meant."""
    with pytest.raises(ConfigError) as refused:
        read(text)

    assert told in str(refused.value)


def test_all_mistakes_are_told_at_once():
    """Each on a line of its own."""
    with pytest.raises(ConfigError) as refused:
        read("x = 1\n[tunnels.web]\ny = 2\n[tunnels.api]\nupstream = 3000\nz = 3\n")

    lines = str(refused.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{PATH}:{n}" for n in (1, 3, 2, 6)]


def test_a_key_is_looked_for_in_its_own_table():
    """The same one may stand in another."""
    text = "[tunnels.a]\nupstream = 1\nname = 'x'\n[tunnels.b]\nupstream = 2\nname = 4\n"

    with pytest.raises(ConfigError, match=r"hookloop.toml:6: tunnels\.b\.name"):
        read(text)


def test_the_nearest_file_is_found_from_a_folder_upwards(tmp_path):
    """hookloop.toml before ngrok's, the folder before what is around it."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "hookloop.toml").touch()
    assert find_project_file(inner) == tmp_path / "hookloop.toml"

    (tmp_path / "a" / "ngrok.yml").touch()
    assert find_project_file(inner) == tmp_path / "a" / "ngrok.yml"

    (tmp_path / "a" / "hookloop.toml").touch()
    assert find_project_file(inner) == tmp_path / "a" / "hookloop.toml"


def test_a_file_of_another_user_is_not_trusted(tmp_path, monkeypatch):
    """One in /tmp would say whom the token is sent to."""
    (tmp_path / "hookloop.toml").touch()
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    if tmp_path.stat().st_uid == 0:
        monkeypatch.setattr("hookloop.cli.project_file.ROOT_UID", -1)

    with pytest.raises(ConfigError, match="another user"):
        find_project_file(tmp_path)


def test_what_cannot_be_read_is_told(tmp_path):
    """Missing, huge, or no text."""
    with pytest.raises(ConfigError, match="No such file"):
        read_project(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_project(tmp_path / "binary.toml")
    (tmp_path / "huge.toml").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="right file"):
        read_project(tmp_path / "huge.toml")


def test_the_environment_of_the_process_is_used(tmp_path, monkeypatch):
    """As a shell would put it in."""
    monkeypatch.setenv("SHOP_NAME", "shop-of-ada")
    (tmp_path / "hookloop.toml").write_text(
        "[tunnels.web]\nupstream = 3000\nname = '${SHOP_NAME}'\n"
    )

    assert read_project(tmp_path / "hookloop.toml").tunnels[0].name == "shop-of-ada"


def test_every_key_of_a_tunnel_is_tried_above():
    """One that is read by nobody would be a promise."""
    assert [key.name for key in TUNNEL_KEYS if f"\n{key.name} = " not in WHOLE] == ["upstream_ca"]


VALUES = st.sampled_from(
    [
        *(
            "3000",
            "-1",
            "0",
            "70000",
            "1.5",
            "nan",
            "inf",
            "true",
            "false",
            '""',
            '"shop"',
            "'x y'",
        ),
        *("'./x'", "'unix:/x'", "'${HOME}'", "[]", "['a:b']", "['a', 'b']", "[1]", "{}", "{a = 1}"),
        *("1979-05-27", "'ada:correct-horse'", "'stripe'", "'http'", "'\\u0000'"),
    ]
)
NAMES = st.sampled_from([key.name for key in (*TOP_KEYS, *TUNNEL_KEYS)])


# Words too: a secret may be cut off, and the user is warned of it.
@pytest.mark.filterwarnings("ignore:Stripe's signing secrets begin with whsec_")
@given(st.dictionaries(NAMES, VALUES), st.dictionaries(NAMES, VALUES))
def test_whatever_a_file_holds_it_is_read_or_refused_in_words(top, table):
    """A config is written by hand, and anything can stand where anything else belongs."""
    lines = [f"{name} = {value}" for name, value in top.items() if name != "tunnels"]
    lines += ["[tunnels.web]", *(f"{name} = {value}" for name, value in table.items())]

    with suppress(ConfigError):
        read("\n".join(lines), HOME="home")
