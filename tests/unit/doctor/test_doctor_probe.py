"""Which probes are sent, and what an app's way of answering tells."""

import json
from collections.abc import Callable

import pytest
from faults import NOW, SECRET

from hookloop.doctor import Answer, Probe, check_answers, next_probes
from hookloop.errors import SignatureError
from hookloop.signing import verify_stripe

URL = "https://shop.example/hook"
REFUSAL = Answer(400, (), "Invalid signature")


def app(seen: Callable[[bytes], bytes] = bytes, *, after: int = 200) -> Callable[[Probe], Answer]:
    """Return an app that verifies what *seen* makes of the body."""

    def answer(probe: Probe) -> Answer:
        header = dict(probe.headers).get("Stripe-Signature")
        try:
            verify_stripe(seen(probe.body), header, [SECRET], now=NOW)
        except SignatureError:
            return REFUSAL
        return Answer(after)

    return answer


def asked(answer: Callable[[Probe], Answer], secret: str | None = SECRET) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    while probes := next_probes(answers, secret, url=URL, now=NOW):
        answers |= {probe.name: answer(probe) for probe in probes}
    return answers


def first(answer: Callable[[Probe], Answer]) -> str | None:
    found = check_answers(asked(answer), URL, SECRET)
    return found[0].code if found else None


def test_a_good_app_gets_four_probes_and_no_finding():
    """Unsigned, forged, signed, and one signed long ago."""
    answers = asked(app())

    assert set(answers) == {"unsigned", "forged", "signed", "stale"}
    assert check_answers(answers, URL, SECRET) == ()


def test_without_a_secret_two_are_sent():
    """Nothing can be signed."""
    assert set(asked(app(), None)) == {"unsigned", "forged"}


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (lambda _: b"", "body_consumed"),
        (lambda body: json.dumps(json.loads(body)).encode(), "body_reserialised"),
        (
            lambda body: json.dumps(
                json.loads(body), separators=(",", ":"), ensure_ascii=False
            ).encode(),
            "body_reserialised",
        ),
        (lambda body: body + b" ", "wrong_secret"),
    ],
    ids=["empty", "spaced", "compact", "unknown"],
)
@pytest.mark.parametrize("after", [200, 500])
def test_what_the_app_verifies_is_found_from_outside(seen, code: str, after: int):
    """Even where it fails afterwards: any answer unlike the one to a forged event tells."""
    assert first(app(seen, after=after)) == code


def test_an_app_that_fails_after_verifying_is_told_apart():
    """It answers a signed event otherwise than a forged one."""
    assert first(app(after=500)) == "app_error"
    assert first(app(after=409)) == "failed_after_verifying"


def test_a_redirect_ends_the_probing():
    """Nothing behind it was reached."""
    answers = asked(lambda _: Answer(307, (("location", f"{URL}/"),)))

    assert "empty" not in answers
    assert check_answers(answers, URL, SECRET)[0].code == "slash_redirect"


def test_an_app_that_accepts_everything_is_named():
    """First of all."""
    assert first(lambda _: Answer(200)) == "unsigned_accepted"


def test_a_header_that_merely_has_to_be_there_is_named():
    """Forged is as good as signed to such an app."""
    assert (
        first(lambda probe: Answer(200 if len(probe.headers) > 3 else 400)) == "unsigned_accepted"
    )


def test_the_probes_are_events_of_a_made_up_type():
    """No handler for a real type runs."""
    probes = next_probes({}, SECRET, url=URL, now=NOW)

    assert {json.loads(probe.body)["type"] for probe in probes} == {"hookloop.probe"}
    assert len({json.loads(probe.body)["id"] for probe in probes}) == len(probes)
