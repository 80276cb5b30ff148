"""ngrok.yml's settings of the agent, and the token written into it."""

import stat

import pytest
import yaml

from hookloop.cli.ngrok_settings import read_settings, save_authtoken
from hookloop.cli.ngrok_web import is_local_host
from hookloop.errors import ConfigError


@pytest.mark.parametrize(
    "text",
    [
        "version: '2'\nauthtoken: a\nweb_addr: 127.0.0.1:5050\nlog_level: debug\n",
        "version: '3'\nagent:\n  authtoken: a\n  web_addr: 127.0.0.1:5050\n  log_level: debug\n",
    ],
)
def test_settings_of_both_versions(text):
    """Version 3 has them under agent."""
    settings = read_settings(yaml.safe_load(text))

    assert settings.authtoken == "a"
    assert settings.web_addr == "127.0.0.1:5050"
    assert settings.log_level == "debug"
    assert "'a'" not in repr(settings)


def test_no_web_interface_is_not_the_usual_one():
    """`web_addr: false` turns it off."""
    assert read_settings({"web_addr": False}).web_addr == ""
    assert read_settings(None).web_addr is None


@pytest.mark.parametrize(
    "text",
    [
        "version: '2'\n# mine\ntunnels:\n  web:\n    addr: 80\n",
        "version: '2'\nauthtoken: old  # mine\n",
        "version: 3\nagent:\n    web_addr: x:1\n# mine\n",
        "version: 3\nagent:\n  authtoken: old\nendpoints: []\n",
        "version: '3'\n",
    ],
)
def test_a_token_is_written_and_the_rest_stays(tmp_path, text):
    """Comments too, where the line is not the token's own."""
    path = tmp_path / "ngrok.yml"
    path.write_text(text)
    before = yaml.safe_load(text)

    save_authtoken(path, "tok_1")
    after = yaml.safe_load(path.read_text())

    assert read_settings(after).authtoken == "tok_1"
    agent = after.get("agent") or {}
    agent.pop("authtoken", None)
    for document in (before, after):
        document.pop("authtoken", None)
        (document.get("agent") or {}).pop("authtoken", None)
        if not document.get("agent"):
            document.pop("agent", None)
    assert after == before


def test_a_new_file_is_for_its_owner_alone(tmp_path):
    """It holds a secret."""
    path = tmp_path / "deep" / "ngrok.yml"
    save_authtoken(path, "tok_1")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_no_token_is_not_written(tmp_path):
    """A line end would be a key of its own."""
    with pytest.raises(ConfigError, match="no token has"):
        save_authtoken(tmp_path / "ngrok.yml", "a\nweb_allow_hosts: evil")


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("localhost:4040", True),
        ("127.0.0.1:4040", True),
        ("127.0.0.1", True),
        ("[::1]:4040", True),
        ("app.localhost:4040", True),
        ("evil.com", False),
        ("localhost.evil.com:4040", False),
        ("127.0.0.1.evil.com", False),
        ("10.0.0.1:4040", False),
        ("", False),
    ],
)
def test_who_may_ask(host, is_local):
    """A page that has its own name lead to 127.0.0.1 is told by its Host."""
    assert is_local_host(host) is is_local
