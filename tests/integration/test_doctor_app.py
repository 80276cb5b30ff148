"""`hookloop doctor app` on modules in a folder, and against an endpoint of the sandbox."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stripe
from patience import TEST_PATIENCE

KEY = "sk_test_doctor"

HOOKS = "from hookloop import Hooks\nhooks = Hooks(secrets='whsec_x')\n"
HANDLERS = "@hooks.on('customer.created', 'customer.updated')\ndef changed(event): ...\n"

Doctor = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    """Return a runner of the command in a folder with the user's modules."""

    def run(source: str, *arguments: str, target: str = "shop:hooks"):
        (tmp_path / "shop.py").write_text(source)
        done = subprocess.run(
            [sys.executable, "-m", "hookloop", "doctor", "app", target, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=TEST_PATIENCE,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    """Run a sandbox in a process of its own."""
    command = [sys.executable, "-m", "hookloop", "sandbox", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["value"]
        process.terminate()
        process.communicate(timeout=TEST_PATIENCE)


def endpoint(sandbox: str, **fields: object) -> str:
    client = stripe.StripeClient(KEY, base_addresses={"api": sandbox})
    created = client.v1.webhook_endpoints.create(
        {
            "url": "http://127.0.0.1:1/webhooks/stripe",
            "enabled_events": ["customer.created", "customer.updated"],
            "api_version": stripe.api_version,
            **fields,
        }
    )
    return created.id


def codes(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [finding["code"] for finding in json.loads(done.stdout)["findings"]]


def test_registered_handlers_are_told(doctor: Doctor):
    """What the app listens to, in one line."""
    done = doctor(HOOKS + HANDLERS)

    assert done.returncode == 0
    assert "customer.created, customer.updated" in done.stdout


def test_hooks_is_the_name_that_is_looked_for(doctor: Doctor):
    """The module alone will do."""
    assert doctor(HOOKS + HANDLERS, target="shop").returncode == 0


def test_handlers_nobody_imported_are_named(doctor: Doctor):
    """The mistake that answers 200 to everything."""
    done = doctor(HOOKS, "--json")

    assert done.returncode == 1
    assert codes(done) == ["no_handlers"]


def test_an_endpoint_that_fits_is_healthy(doctor: Doctor, sandbox: str):
    """Asked for through the official package, from the sandbox."""
    options = ["--api-base", sandbox, "--api-key", KEY, "--path", "/webhooks/stripe"]

    done = doctor(HOOKS + HANDLERS, "--endpoint", endpoint(sandbox), *options)

    assert done.returncode == 0, done.stdout + done.stderr


def test_types_versions_and_slashes_are_compared(doctor: Doctor, sandbox: str):
    """All that differs is told in one run."""
    id_ = endpoint(sandbox, enabled_events=["customer.deleted"], url="http://127.0.0.1:1/hook/")
    options = ["--api-base", sandbox, "--api-key", KEY, "--path", "/hook", "--json"]

    done = doctor(HOOKS + HANDLERS, "--endpoint", id_, *options)

    assert done.returncode == 1
    assert codes(done) == ["unhandled_types", "unsent_types", "slash_differs"]
    assert KEY not in done.stdout


def test_a_module_that_fails_is_named_with_its_line(doctor: Doctor):
    """The type and the place; a message may quote a secret."""
    done = doctor("import os\nkey = os.environ['SHOP_SECRET_NAME']\n", "--json")

    finding = json.loads(done.stdout)["findings"][0]
    assert finding["code"] == "import_failed"
    assert "KeyError at shop.py:2: SHOP_SECRET_NAME is not set" in finding["what"]


def test_django_is_set_up_before_the_import(doctor: Doctor, monkeypatch: pytest.MonkeyPatch):
    """Models, and so most handlers, cannot be imported before; any module with settings will do."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "json")
    needs_apps = "from django.apps import apps\napps.check_apps_ready()\n"

    assert doctor(HOOKS + needs_apps + HANDLERS).returncode == 0


def test_a_typo_in_a_handlers_type_is_told_in_our_own_words(doctor: Doctor):
    """`on` refuses it at import, with the closest match."""
    done = doctor(HOOKS + "hooks.on('customer.update')(print)\n", "--json")

    assert codes(done) == ["import_failed"]
    assert "customer.updated" in done.stdout


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("nowhere:hooks", "there is no module nowhere"),
        ("shop:missing", "is not there"),
        ("shop:Hooks.__name__", "a str that listens to nothing"),
    ],
)
def test_a_name_that_names_nothing_is_wrong_usage(doctor: Doctor, target: str, sentence: str):
    """Exit code 2."""
    done = doctor(HOOKS, target=target)

    assert done.returncode == 2
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--endpoint", "we_nope", "--api-key", KEY], "has no endpoint we_nope"),
        (["--endpoint", "we_nope", "--api-key", ""], "give --api-key"),
        (["--endpoint", "we_nope", "--api-key", "nonsense"], "not accepted"),
    ],
)
def test_an_endpoint_that_cannot_be_asked_for_is_wrong_usage(
    doctor: Doctor, sandbox: str, options: list[str], sentence: str
):
    """The id or the key is not right."""
    done = doctor(HOOKS + HANDLERS, "--api-base", sandbox, *options)

    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "nonsense" not in done.stderr
