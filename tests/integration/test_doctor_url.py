"""`hookloop doctor url` on apps with one fault each, over real sockets."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doctor_apps import (
    SECRET,
    Consuming,
    careless,
    compact,
    dumped,
    failing,
    login_page,
    post,
    raw,
    served,
    single_page_app,
    verifying,
)
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Route
from typer.testing import CliRunner

from hookloop import Hooks
from hookloop.cli.app import app as command

DJANGO_APP = Path(__file__).with_name("doctor_django_app.py")


def doctor(url: str, *options: str, exit_code: int) -> list[dict[str, str]]:
    """Run the command as a user does and return its findings."""
    done = CliRunner().invoke(
        command,
        ["doctor", "url", url, "--json", *options],
        env={"STRIPE_WEBHOOK_SECRET": "", "HOOKLOOP_SECRETS": ""},
    )

    assert done.exit_code == exit_code, done.output
    assert SECRET not in done.output
    return json.loads(done.stdout)["findings"]


def first_code(app: object, path: str = "/hook") -> str:
    with served(app) as url:
        findings = doctor(f"{url}{path}", "--secret", SECRET, exit_code=1)
    assert findings[0]["certainty"] == "proved", findings
    return findings[0]["code"]


def test_hookloop_itself_is_healthy():
    """Our own face passes: signed in, unsigned, forged and old out."""
    with served(Hooks(secrets=SECRET).asgi) as url:
        assert doctor(f"{url}/hook", "--secret", SECRET, exit_code=0) == []


def test_an_app_by_stripes_documentation_is_healthy():
    """Nothing of ours is needed for a clean bill."""
    with served(post("/hook", verifying(raw))) as url:
        assert doctor(f"{url}/hook", "--secret", SECRET, exit_code=0) == []


def test_without_a_secret_a_refusal_is_healthy():
    """What can be told without one is told."""
    with served(Hooks(secrets=SECRET).asgi) as url:
        assert doctor(f"{url}/hook", exit_code=0) == []


def test_starlettes_slash_redirect_is_named():
    """307 from /hook to /hook/, which Stripe counts as a failure."""
    assert first_code(post("/hook/", verifying(raw)), "/hook") == "slash_redirect"


def test_the_slash_is_named_the_other_way_round():
    """/hook/ registered, /hook mounted."""
    assert first_code(post("/hook", verifying(raw)), "/hook/") == "slash_redirect"


def test_an_app_that_consumes_the_body_before_hookloop_is_named():
    """Hooks answers 500 and says so."""
    hooks = Hooks(secrets=SECRET)
    app = Starlette(routes=[Route("/hook", hooks.asgi)], middleware=[Middleware(Consuming)])

    assert first_code(app) == "body_consumed"


def test_an_app_that_consumes_the_body_before_stripes_package_is_proved_from_outside():
    """It verifies nothing; so a signature over nothing gets another answer than a forged one."""
    app = post("/hook", verifying(raw), Middleware(Consuming))

    assert first_code(app) == "body_consumed"


@pytest.mark.parametrize("read", [dumped, compact])
def test_an_app_that_verifies_rewritten_json_is_proved_from_outside(read):
    """It accepts what is signed over the JSON as it writes it."""
    assert first_code(post("/hook", verifying(read))) == "body_reserialised"


def test_an_app_with_another_secret_is_likely():
    """From outside nothing more can be told: it answers as to a forged event."""
    with served(Hooks(secrets="whsec_another").asgi) as url:
        findings = doctor(f"{url}/hook", "--secret", SECRET, exit_code=1)

    assert (findings[0]["code"], findings[0]["certainty"]) == ("wrong_secret", "likely")


def test_an_app_that_verifies_nothing_is_named():
    """Anyone could post events to it."""
    assert first_code(post("/hook", careless)) == "unsigned_accepted"


def test_an_app_without_a_tolerance_is_named():
    """An event signed an hour ago is a replay."""
    assert first_code(post("/hook", verifying(raw, tolerance=None))) == "no_tolerance"


@pytest.mark.parametrize(
    ("app", "code"),
    [
        (post("/elsewhere", careless), "wrong_path"),
        (Starlette(routes=[Route("/hook", careless)]), "method_not_allowed"),
        (post("/hook", failing), "app_error"),
        (post("/hook", careless, Middleware(HTTPSRedirectMiddleware)), "https_redirect"),
        (
            post("/hook", careless, Middleware(TrustedHostMiddleware, allowed_hosts=["x.test"])),
            "host_not_allowed",
        ),
        (Hooks(secrets=lambda _request: None).asgi, "app_has_no_secret"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_answers_in_place_of_the_handler_is_named(app: object, code: str):
    """Routes, hosts and failures, as Starlette answers them."""
    assert first_code(app) == code


@pytest.mark.parametrize(
    ("endpoint", "code"), [(login_page, "login_page"), (single_page_app, "html_page")]
)
def test_a_web_page_that_answers_200_is_no_success(endpoint: object, code: str):
    """Stripe would take it for delivered, and the event is lost."""
    with served(post("/hook", endpoint)) as url:
        findings = doctor(f"{url}/hook", exit_code=1)

    assert (findings[0]["code"], findings[0]["certainty"]) == (code, "likely")


def test_nobody_listening_is_named():
    """A refused connection is an answer too."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    assert doctor(f"http://127.0.0.1:{port}/hook", exit_code=1)[0]["code"] == "unreachable"


@pytest.mark.parametrize("url", ["localhost:3000/hook", "ftp://x/hook", "http:///hook", ""])
def test_what_is_no_url_is_a_usage_error(url: str):
    """Exit code 2 and one sentence."""
    done = CliRunner().invoke(command, ["doctor", "url", url])

    assert done.exit_code == 2
    assert "the URL must be absolute" in done.stderr


@pytest.fixture(scope="module")
def django() -> Iterator[str]:
    """Serve a Django project in a process of its own: its settings are the process's."""
    with subprocess.Popen(
        [sys.executable, str(DJANGO_APP), SECRET], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/csrf/", "csrf"),
        ("/hooks", "slash_redirect"),
        ("/private/", "login_redirect"),
        ("/read/", "body_consumed"),
        ("/nowhere/", "wrong_path"),
        ("/raises/", "app_error"),
    ],
)
def test_djangos_own_answers_are_named(django: str, path: str, code: str):
    """CSRF, APPEND_SLASH, login_required and a body read too early, as Django tells them."""
    finding = doctor(f"{django}{path}", "--secret", SECRET, exit_code=1)[0]

    assert (finding["code"], finding["certainty"]) == (code, "proved")


def test_our_django_view_is_healthy(django: str):
    """Exempt from CSRF, with CsrfViewMiddleware on."""
    assert doctor(f"{django}/hooks/", "--secret", SECRET, exit_code=0) == []
