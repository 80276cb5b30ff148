"""The pytest plugin, in a pytest of its own."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]

TEST = """
import pytest
from hookloop import Hooks
from hookloop.testing import StripeEvents

@pytest.fixture
def hooks(stripe_events):
    hooks = Hooks(secrets=stripe_events.secret)
    hooks.on_any(lambda event: None)
    return hooks

def test_fixture(stripe_events: StripeEvents, hooks):
    one, other = stripe_events.make("invoice.paid"), stripe_events.make("invoice.paid")
    assert one["id"] != other["id"]
    assert stripe_events.send(hooks.asgi, one).outcome == "handled"
    assert stripe_events.send(hooks.wsgi, stripe_events.sign(other)).outcome == "handled"
    thin = stripe_events.make_thin("v1.invoice.paid", twin=one)
    assert stripe_events.send(hooks, thin).outcome == "duplicate"
    print("id", one["id"])

def test_chaos(stripe_events):
    seen = set()
    report = stripe_events.chaos(
        lambda event: seen.add(event["id"]) or 200,
        [stripe_events.make("invoice.paid")], digest=lambda: sorted(seen), reset=seen.clear,
    )
    assert report.schedules

def test_async_forms(stripe_events, hooks):
    import asyncio
    async def test():
        event = stripe_events.make("invoice.paid")
        answer = await stripe_events.asend(hooks.asgi, event)
        assert answer.outcome == "handled"
        seen = set()
        async def deliver(event):
            seen.add(event["id"])
            return 200
        await stripe_events.achaos(deliver, [event], digest=lambda: len(seen), reset=seen.clear)
    asyncio.run(test())
"""


def run(folder: Path, *arguments: str, test: str = TEST) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(test)
    command = [sys.executable, "-W", "error", "-m", "pytest", "-p", "hookloop.testing.plugin"]
    return subprocess.run(
        [*command, "-q", "-rP", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        # By name alone: whether it is installed as an entry point is another test's matter.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
    )


def test_the_fixture_makes_signs_sends_and_torments(tmp_path: Path):
    """Every method, sync and async."""
    done = run(tmp_path)

    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_a_test_gets_the_same_events_each_time(tmp_path: Path):
    """And others for another seed of the configuration file."""
    first, again = run(tmp_path).stdout, run(tmp_path).stdout
    (tmp_path / "pytest.ini").write_text("[pytest]\nstripe_events_seed = 2\n")
    other = run(tmp_path).stdout

    ids = [
        next(line for line in out.splitlines() if line.startswith("id evt_"))
        for out in (first, again, other)
    ]
    assert ids[0] == ids[1] != ids[2]


def test_the_secret_comes_from_the_configuration_or_a_fixture(tmp_path: Path):
    """The fixture is nearer, and wins."""
    test = "def test(stripe_events):\n    print('secret', stripe_events.secret)\n"
    (tmp_path / "pytest.ini").write_text("[pytest]\nstripe_events_secret = whsec_file\n")

    assert "secret whsec_file" in run(tmp_path, test=test).stdout

    override = (
        "import pytest\n\n@pytest.fixture\ndef stripe_events_secret():\n"
        "    return ['whsec_fixture', 'whsec_old']\n\n"
    )
    assert "secret ['whsec_fixture', 'whsec_old']" in run(tmp_path, test=override + test).stdout


def test_collecting_loads_nothing_heavy(tmp_path: Path):
    """Every run of pytest in the user's project pays for it, whatever it tests."""
    test = (
        "import sys\n"
        "heavy = {'stripe', 'django', 'flask', 'starlette', 'asyncio', 'ssl'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "def test():\n    print('loaded', sorted(loaded))\n"
    )

    assert "loaded []" in run(tmp_path, test=test).stdout


def test_the_package_announces_the_plugin():
    """pytest finds it by this entry point once the package is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["entry-points"]["pytest11"] == {"hookloop": "hookloop.testing.plugin"}


SANDBOX_TEST = """
import pytest
from hookloop import Hooks
from hookloop.sandbox import Chaos

@pytest.fixture(scope="session")
def stripe_sandbox_settings():
    return {"chaos": Chaos(duplicate=1)}

def test_a_customer_is_told_of_twice(stripe_sandbox):
    hooks = Hooks(secrets="whsec_a")
    hooks.on("customer.created")(lambda event: None)
    stripe_sandbox.connect(hooks.asgi, secret="whsec_a")
    stripe_sandbox.client.v1.customers.create()
    outcomes = [one.answer.outcome for one in stripe_sandbox.deliver()]
    assert outcomes == ["handled", "duplicate"]

def test_the_next_one_begins_empty(stripe_sandbox):
    assert stripe_sandbox.client.v1.customers.list().data == []
"""


def test_a_test_gets_a_stripe_of_its_own(tmp_path):
    """By the fixture `stripe_sandbox`, set to what the project wants of it."""
    done = run(tmp_path, test=SANDBOX_TEST)

    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_fixture_captures_waits_for_what_comes_through(tmp_path: Path):
    """Each test has an empty one."""
    test = "def test(captures):\n    assert captures.all == ()\n    captures.wait(seconds=0)\n"
    done = run(tmp_path, test=test)

    assert done.returncode == 1
    assert "no exchange within 0 s; nothing came" in done.stdout
