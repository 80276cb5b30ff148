"""An inbox in Django's database, in a real project, on SQLite and Postgres."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from postgres_server import new_database

PROJECT = Path(__file__).with_name("django_project.py")


@pytest.mark.parametrize("kind", ["sqlite3", "postgresql"])
def test_a_django_project_has_one_effect_for_each_event(kind, tmp_path):
    """Migrated, received, failed once, committed with our acknowledgement, replayed from admin."""
    where = [str(tmp_path / "app.db"), "", ""]
    if kind == "postgresql":
        url = urlsplit(new_database())
        where = [url.path[1:], parse_qs(url.query)["host"][0], url.username]
    command = [sys.executable, str(PROJECT), f"django.db.backends.{kind}", *where]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.stdout.split("\n")[-2:] == ["ok", ""], done.stderr
    assert "1 will run again" in done.stdout
