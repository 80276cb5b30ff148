"""The wheel works alone, as `pip install hookloop` leaves it on a user's machine."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_the_wheel_carries_types_the_contract_and_the_demo_app(wheel: Path):
    """py.typed, SPEC.md and the example are data files: easily forgotten."""
    names = set(zipfile.ZipFile(wheel).namelist())

    assert "hookloop/py.typed" in names
    assert "hookloop/tunnel/SPEC.md" in names
    assert "hookloop/_examples/customers.py" in names


def test_the_wheel_alone_verifies_a_webhook(wheel: Path, tmp_path: Path):
    """With no dependency installed, the core receives, verifies and dispatches."""
    python = empty_venv(tmp_path, wheel)
    program = """
import json, time
from hookloop import Hooks
from hookloop.signing import stripe_signature_header
hooks = Hooks(secrets="whsec_test")
seen = []
hooks.on("customer.updated")(lambda event: seen.append(event.id))
body = json.dumps({"id": "evt_1", "object": "event", "type": "customer.updated",
                   "data": {"object": {"id": "cus_1"}}}).encode()
header = stripe_signature_header(body, ["whsec_test"], signed_at=int(time.time()))
result = hooks.receive(body, {"Stripe-Signature": header})
assert (result.status, seen) == (200, ["evt_1"]), (result, seen)
"""

    subprocess.run([python, "-I", "-W", "error", "-c", program], check=True)


def test_the_command_without_its_extra_names_it(wheel: Path, tmp_path: Path):
    """A missing package is a sentence with the line to type, not a traceback."""
    python = empty_venv(tmp_path, wheel)

    done = subprocess.run(
        [python.with_name("hookloop"), "demo"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "pip install 'hookloop[standard]'" in done.stderr
    assert "Traceback" not in done.stderr


def empty_venv(folder: Path, wheel: Path) -> Path:
    """Make a venv with the wheel in it and nothing else."""
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*install, "--no-index", "--no-deps", str(wheel)], check=True)
    return python
