"""`hookloop doctor request` as a user runs it, on saved files."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from hookloop.cli.app import app
from hookloop.signing import stripe_signature_header

SECRET = "whsec_4fZq0d1HkcS9vJx7"
OTHER = "whsec_bT2mWn8eYpLr6uKa"
SIGNED_AT = 1_700_000_000
AT = ["--at", str(SIGNED_AT + 2)]
BODY = json.dumps({"id": "evt_1", "type": "customer.updated"}, indent=2).encode()


def doctor(*arguments: str, stdin: bytes | None = None, **environment: str) -> Result:
    clean = {"STRIPE_WEBHOOK_SECRET": "", "HOOKLOOP_SECRETS": "", "NO_COLOR": "1"}
    done = CliRunner().invoke(
        app, ["doctor", "request", *arguments], input=stdin, env={**clean, **environment}
    )
    assert "Traceback" not in done.output
    assert SECRET not in done.output
    assert OTHER not in done.output
    return done


def saved(folder: Path, body: bytes = BODY, *, secret: str = SECRET) -> str:
    header = stripe_signature_header(BODY, [secret], signed_at=SIGNED_AT)
    path = folder / "saved.http"
    path.write_bytes(
        b"POST /webhooks/stripe HTTP/1.1\r\nHost: shop.example\r\n"
        b"Stripe-Signature: " + header.encode() + b"\r\n\r\n" + body
    )
    return str(path)


def codes(done: Result) -> list[str]:
    return [finding["code"] for finding in json.loads(done.stdout)["findings"]]


def test_a_good_request_is_healthy(tmp_path: Path):
    """Exit code 0 and one line."""
    done = doctor(saved(tmp_path), "--secret", SECRET, *AT)

    assert done.exit_code == 0
    assert done.stdout == "healthy     the request is rightly signed, in time\n"


def test_the_verdict_comes_first_and_then_the_next_step(tmp_path: Path):
    """For people who read two lines."""
    body = json.dumps(json.loads(BODY)).encode()

    done = doctor(saved(tmp_path, body), "--secret", SECRET, *AT)

    first, second = done.stdout.splitlines()[:2]
    assert done.exit_code == 1
    assert first.startswith("verdict     the body was parsed and written anew as JSON")
    assert first.endswith("(proved: body_reserialised)")
    assert second.startswith("next        verify the raw bytes")


def test_a_program_gets_one_object(tmp_path: Path):
    """With the verdict, and each finding's code, certainty, what and next."""
    done = doctor(saved(tmp_path, BODY + b"\n"), "--secret", SECRET, "--json", *AT)

    told = json.loads(done.stdout)
    assert told["healthy"] is False
    assert told["verdict"] == told["findings"][0]["what"]
    assert set(told["findings"][0]) == {"code", "certainty", "what", "next"}
    assert codes(done) == ["body_newline"]


def test_the_apps_secret_comes_from_its_environment_as_it_is(tmp_path: Path):
    """A newline at its end is the fault, and nothing on the way takes it off."""
    done = doctor(saved(tmp_path), "--json", *AT, STRIPE_WEBHOOK_SECRET=f"{SECRET}\n")

    assert codes(done) == ["secret_whitespace"]


def test_other_secrets_are_named_by_their_labels(tmp_path: Path):
    """From the environment or from --known."""
    path = saved(tmp_path, secret=OTHER)

    by_option = doctor(path, "--secret", SECRET, "--known", f"listen={OTHER}", "--json", *AT)
    by_environment = doctor(
        path, "--json", *AT, STRIPE_WEBHOOK_SECRET=SECRET, HOOKLOOP_SECRETS=f"listen={OTHER}"
    )

    for done in (by_option, by_environment):
        assert codes(done) == ["other_secret"]
        assert "'listen'" in done.stdout


def test_a_body_alone_will_do(tmp_path: Path):
    """With the one header that matters, and from stdin as well."""
    header = f"Stripe-Signature: {stripe_signature_header(BODY, [SECRET], signed_at=SIGNED_AT)}"

    done = doctor("--body", "-", "--header", header, "--secret", SECRET, *AT, stdin=BODY)

    assert done.exit_code == 0


def test_a_request_from_stdin_will_do(tmp_path: Path):
    """As the end of a pipe."""
    message = Path(saved(tmp_path)).read_bytes()

    assert doctor("-", "--secret", SECRET, *AT, stdin=message).exit_code == 0


def test_without_a_time_an_old_request_is_only_likely_too_old(tmp_path: Path):
    """It may merely be looked at late; with one in words it is certain."""
    later = ["--at", "2023-11-15T10:00:00+00:00"]

    unknown = doctor(saved(tmp_path), "--secret", SECRET, "--json")
    known = doctor(saved(tmp_path), "--secret", SECRET, "--json", *later)

    told = [json.loads(done.stdout)["findings"][0] for done in (unknown, known)]
    assert [finding["code"] for finding in told] == ["too_old", "too_old"]
    assert [finding["certainty"] for finding in told] == ["likely", "proved"]


def test_the_apps_answer_is_read_too(tmp_path: Path):
    """A saved response, or its status."""
    answer = tmp_path / "answer.http"
    answer.write_bytes(b"HTTP/1.1 301 Moved\r\nLocation: /webhooks/stripe/\r\n\r\n")

    by_file = doctor(saved(tmp_path), "--secret", SECRET, "--answer", str(answer), "--json", *AT)
    by_status = doctor(saved(tmp_path), "--secret", SECRET, "--status", "404", "--json", *AT)

    assert codes(by_file) == ["slash_redirect"]
    assert codes(by_status) == ["wrong_path"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-file"],
        ["-", "--at", "yesterday"],
        ["-", "--body", "-"],
        ["-", "--header", "no colon"],
        ["-", "--secret", " "],
        ["-", "--secret", "a=whsec_1", "--secret", "a=whsec_2"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]):
    """And a sentence, never a traceback."""
    done = doctor(*arguments, stdin=b"POST / HTTP/1.1\r\n\r\n")

    assert done.exit_code == 2
    assert done.stderr


def test_a_file_that_is_no_request_is_wrong_usage():
    """The sentence says what one looks like."""
    done = doctor("-", stdin=b"hello world")

    assert done.exit_code == 2
    assert "request line" in done.stderr
