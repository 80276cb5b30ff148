"""The reference page of hookloop.toml, the file's keys and the options are the same."""

import dataclasses
import re
from pathlib import Path

from typer.main import get_command

from hookloop.cli.app import app
from hookloop.cli.project_file import TOP_KEYS, TUNNEL_KEYS
from hookloop.tunnel.agent.options import TunnelOptions

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hookloop-toml.md"
FILE_ONLY = {"protocol", "connect_seconds"}  # a command of its own; nobody waits longer by hand


def test_the_page_has_a_row_for_each_key():
    """In the code's words, and none that is not there."""
    rows = re.findall(r"^\| `([a-z_]+)` \| ([a-z ]+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)

    assert rows == [(key.name, key.kind, key.meaning) for key in (*TOP_KEYS, *TUNNEL_KEYS)]


def test_each_key_of_a_tunnel_is_an_option_of_the_command():
    """Whoever knows one knows the other."""
    commands = get_command(app).commands
    options = {param.name for name in ("http", "tcp", "tls") for param in commands[name].params}

    assert {key.name for key in TUNNEL_KEYS} - options == FILE_ONLY


def test_each_key_of_a_tunnel_is_read():
    """By name; the guard is made of two of them, and the label is the table's."""
    fields = {field.name for field in dataclasses.fields(TunnelOptions)}
    keys = {key.name for key in TUNNEL_KEYS}

    assert keys - {"verify_webhook", "secret"} == fields - {"guard", "label"}
