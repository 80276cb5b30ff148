"""A relay's settings from a file: every one of them, and a fault names its key."""

from dataclasses import fields
from ipaddress import ip_network

import pytest

from hookloop.errors import ConfigError
from hookloop.tunnel.relay import RelayConfig, RelayLimits
from hookloop.tunnel.relay.config_file import read_config_file

WHOLE = """
domain = "tun.example"
more_domains = ["eu.example"]
host = "0.0.0.0"
port = 4400
tokens_file = "tokens.json"
trusted_proxies = ["10.0.0.0/8", "::1"]
proxy_protocol = true
drain_seconds = 5
admin_port = 9400
[limits]
head_seconds = 2.5
sessions_max = 10
"""


def written(tmp_path, text):
    path = tmp_path / "relay.toml"
    path.write_text(text)
    return path


def test_a_file_sets_what_it_says(tmp_path):
    """Paths are meant from its folder; whole numbers are seconds too."""
    config = RelayConfig(**read_config_file(written(tmp_path, WHOLE)))

    assert config.domains == ("tun.example", "eu.example")
    assert config.tokens_file == tmp_path / "tokens.json"
    assert config.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert config.drain_seconds == 5.0
    assert config.limits == RelayLimits(head_seconds=2.5, sessions_max=10)


@pytest.mark.parametrize("name", [field.name for field in fields(RelayLimits)])
def test_every_limit_can_be_set(tmp_path, name):
    """To what it is anyway."""
    value = getattr(RelayLimits(), name)
    settings = read_config_file(written(tmp_path, f"[limits]\n{name} = {value}\n"))

    assert settings["limits"] == RelayLimits()


def test_tables_within_tables_are_read(tmp_path):
    """TLS has lists of files, and ACME its own table."""
    path = written(
        tmp_path,
        """
        [tls]
        http_port = 80
        [[tls.files]]
        certificate = "a.pem"
        key = "a.key"
        [tls.acme]
        names = [["tun.example"]]
        folder = "acme"
        email = "ops@tun.example"
        is_tos_agreed = true
        """,
    )
    tls = read_config_file(path)["tls"]

    assert tls.files[0].certificate == tmp_path / "a.pem"
    assert tls.acme.names == (("tun.example",),)
    assert tls.acme.folder == tmp_path / "acme"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("domain = ", "is not TOML"),
        ("domian = 'a'", "no setting domian: did you mean domain?"),
        ("[limits]\nhead_second = 1", "no setting limits.head_second: did you mean limits.head"),
        ("xyzzy = 1", "no setting xyzzy$"),
        ("domain = 1", "domain is 1: give a text"),
        ("port = '80'", "port is '80': give a whole number"),
        ("port = 80.5", "port is 80.5: give a whole number"),
        ("port = true", "port is True: give a whole number"),
        ("proxy_protocol = 1", "proxy_protocol is 1: give true or false"),
        ("drain_seconds = 'long'", "drain_seconds is 'long': give a number"),
        ("tokens_file = 1", "tokens_file is 1: give a path"),
        ("more_domains = 'a'", "more_domains is 'a': give a list"),
        ("more_domains = ['a', 2]", r"more_domains\[1\] is 2: give a text"),
        ("trusted_proxies = ['x']", r"trusted_proxies\[0\]: 'x' is not a network"),
        ("trusted_proxies = [1]", r"trusted_proxies\[0\] is 1: give a text"),
        ("limits = 1", r"limits is 1: give a table, \[limits\]"),
        ("[[tls.files]]\nkey = 'a'", r"tls.files\[0\] is not complete: it has no certificate"),
        ("[[tls.files]]\nkye = 'a'", r"no setting tls.files\[0\].kye: did you mean"),
        ("[limits]\nsessions_max = 0", "the limit sessions_max is 0"),
    ],
)
def test_a_fault_names_file_and_key(tmp_path, text, fault):
    """And what could stand there."""
    path = written(tmp_path, text)

    with pytest.raises(ConfigError, match=fault) as error:
        read_config_file(path)

    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    """As the user typed it."""
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        read_config_file(tmp_path / "none.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    """TOML is UTF-8."""
    path = tmp_path / "relay.toml"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match="is not TOML"):
        read_config_file(path)
