"""The page of the relay's settings is what the code says."""

import importlib.util
from pathlib import Path

from typer.main import get_command

from hookloop.cli.app import app

ROOT = Path(__file__).parents[2]
ABOUT_THE_COMMAND = {"--config", "--json", "--help"}  # and not about the relay


def writer():
    path = ROOT / "scripts" / "write_relay_settings.py"
    spec = importlib.util.spec_from_file_location("write_relay_settings", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_setting_is_on_its_page_with_its_default_and_reason():
    """Else run scripts/write_relay_settings.py."""
    module = writer()

    is_true = module.PAGE.read_text() == module.render()
    assert is_true, "run .venv/bin/python scripts/write_relay_settings.py"


def test_every_setting_has_a_reason():
    """A limit nobody can explain is a limit nobody dares to change."""
    rows = [line for line in writer().render().splitlines() if line.startswith("| `")]

    assert len(rows) > 30
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_option_of_the_relay_is_a_setting():
    """So that a file can say all that a command line can."""
    text = writer().render()
    options = {
        option
        for param in get_command(app).commands["relay"].params
        for option in param.opts
        if option.startswith("--")
    }

    assert {option for option in options - ABOUT_THE_COMMAND if f"`{option}`" not in text} == set()
