"""Settings are checked when they are made."""

import pytest

from hookloop.cli.sandbox import DEFAULT_PORT
from hookloop.errors import ConfigError
from hookloop.sandbox import PORT_DEFAULT, SandboxConfig


@pytest.mark.parametrize(
    "settings",
    [
        {"host": ""},
        {"port": -1},
        {"port": 65536},
        {"attempt_timeout_seconds": 0},
        {"rate_limit": 0},
    ],
)
def test_impossible_settings_are_refused(settings):
    """Before anything listens."""
    with pytest.raises(ConfigError):
        SandboxConfig(**settings)


def test_the_command_and_the_config_agree_on_the_port():
    """The command keeps its own copy so that `--help` imports no server."""
    assert DEFAULT_PORT == PORT_DEFAULT
