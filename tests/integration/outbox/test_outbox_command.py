"""`hookloop outbox` on a real file, between runs of a worker; and endpoints that fail for days."""

import asyncio
import base64
import contextlib
import json
import sqlite3

import pytest
from outbox_receiver import LOCAL, Receiver, running, until_settled
from standardwebhooks import Webhook
from typer.testing import CliRunner

from hookloop import ProviderHooks
from hookloop.cli.app import app
from hookloop.events.providers import StandardWebhooks
from hookloop.outbox import Outbox, OutboxMessage
from hookloop.testing.clock import ManualClock

DAY = 24 * 3600.0
PRIVATE_KEY = "whsk_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def db(tmp_path, monkeypatch) -> str:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    monkeypatch.setenv("HOOKLOOP_OUTBOX", url)
    return url


def typed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["outbox", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def post(outbox: Outbox, db: str, *messages: OutboxMessage) -> None:
    with contextlib.closing(sqlite3.connect(db.removeprefix("sqlite:///"))) as conn, conn:
        for message in messages:
            outbox.append_sync(message, conn=conn)


def delivered(db: str, endpoint: str, *answers: int, new: tuple[str, ...] = ()):
    """Run a worker until all is settled; return what the receiver, with *answers*, was sent."""

    async def main():
        outbox = Outbox(db, settings=LOCAL)
        async with outbox, Receiver(*answers).listening() as receiver:
            await outbox.change_endpoint(endpoint, url=receiver.url)
            post(outbox, db, *[OutboxMessage("a.b", id=id_) for id_ in new])
            async with running(outbox):
                await until_settled(outbox, endpoint)
        return receiver.requests

    return asyncio.run(main())


def test_a_dead_message_is_shown_and_sent_again_under_a_new_secret(db):
    """Both secrets verify the second run, and the receiver knows it by its id."""
    endpoint, old = typed("add", "https://receiver.example/hook").split()
    delivered(db, endpoint, 500, 500, 500, new=("msg_1",))

    [dead] = json.loads(typed("show", endpoint, "--json"))
    rolled = typed("rotate", endpoint, "--overlap-hours", "1").strip()
    assert typed("resend", "--endpoint", endpoint, "--per-second", "50").startswith("1 to be sent")
    [(headers, body)] = delivered(db, endpoint)

    assert (dead["message"], dead["state"]) == ("msg_1", "dead")
    assert [one["detail"][:14] for one in dead["attempts"]] == ["500 answer 500"] * 3
    assert rolled != old
    for secret in (old, rolled):
        assert Webhook(secret).verify(body, headers)["type"] == "a.b"
    assert headers["webhook-id"] == "msg_1"
    lines = typed("show", endpoint).splitlines()
    assert lines[0].split() == ["msg_1", "a.b", "done"]
    assert lines[-1].split()[1:3] == ["done", "200"]


def test_one_message_is_sent_again_and_no_other(db):
    """By its id, of two that were delivered."""
    endpoint, _ = typed("add", "https://receiver.example/hook").split()
    delivered(db, endpoint, new=("msg_1", "msg_2"))

    assert typed("resend", "--message", "msg_2").startswith("1 to be sent")
    assert typed("resend", "--message", "msg_3").startswith("0 to be sent")
    again = delivered(db, endpoint)

    assert [headers["webhook-id"] for headers, _ in again] == ["msg_2"]


def test_a_secret_rolled_without_overlap_signs_alone(db):
    """For one that has leaked."""
    endpoint, _ = typed("add", "https://receiver.example/hook").split()
    rolled = typed("rotate", endpoint, "--overlap-hours", "0").strip()

    [(headers, body)] = delivered(db, endpoint, new=("msg_1",))

    assert len(headers["webhook-signature"].split()) == 1
    Webhook(rolled).verify(body, headers)


def test_an_endpoint_that_is_gone_is_enabled_by_hand(db):
    """It receives again, and what it had missed."""
    endpoint, _ = typed("add", "https://receiver.example/hook").split()
    delivered(db, endpoint, 410, new=("msg_1",))
    assert "disabled: it answered 410" in typed("endpoints")

    assert f"resend --endpoint {endpoint}" in typed("enable", endpoint)
    typed("resend", "--endpoint", endpoint)
    again = delivered(db, endpoint)

    assert [headers["webhook-id"] for headers, _ in again] == ["msg_1"]
    [listed] = json.loads(typed("endpoints", "--json"))
    assert listed["disabled_at"] is listed["failing_since"] is None


@pytest.mark.parametrize(
    "command", [["show"], ["rotate"], ["enable"], ["resend", "--endpoint"]], ids=lambda c: c[0]
)
def test_an_unknown_endpoint_is_named(db, command):
    """A slip of the hand is a sentence and code 2, not a success."""
    typed("endpoints")

    result = CliRunner().invoke(app, ["outbox", *command, "ep_nobody"])

    assert result.exit_code == 2
    assert "there is no endpoint ep_nobody" in result.stderr


def test_a_private_key_signs_and_its_public_half_verifies(db):
    """Rolled by the command, the new one is a private key as well, and its public half is told."""

    async def added():
        async with Outbox(db, settings=LOCAL) as outbox:
            return await outbox.add_endpoint("https://receiver.example/hook", secret=PRIVATE_KEY)

    endpoint = asyncio.run(added())
    rolled = typed("rotate", endpoint.id).strip()
    [(headers, body)] = delivered(db, endpoint.id, new=("msg_1",))

    assert [one[:4] for one in headers["webhook-signature"].split()] == ["v1a,", "v1a,"]
    assert rolled.startswith("whpk_")
    for public_key in (endpoint.secrets[0].for_receiver, rolled):
        hooks = ProviderHooks(StandardWebhooks(), secrets=public_key)
        assert hooks.receive(body, headers).status == 200
        assert hooks.receive(body + b" ", headers).status == 400


def after_days(db: str, *answers: int, days: float):
    """Send a message, and another one *days* later; return how the endpoint is then."""

    async def main():
        clock = ManualClock()
        outbox = Outbox(db, settings=LOCAL, clock=clock)
        async with outbox, Receiver(*answers).listening() as receiver, running(outbox):
            endpoint = await outbox.add_endpoint(receiver.url)
            post(outbox, db, OutboxMessage("a.b"))
            await until_settled(outbox, endpoint.id)
            clock.advance(days * DAY)
            post(outbox, db, OutboxMessage("a.b"))
            await until_settled(outbox, endpoint.id, 2)
            return await outbox.endpoint(endpoint.id), len(receiver.requests)

    return asyncio.run(main())


def test_five_days_of_failures_disable_an_endpoint(db):
    """At the first failure after that, and it is not tried once more."""
    endpoint, tries = after_days(db, *[500] * 9, days=5.01)

    assert endpoint.disabled_reason == "it has failed for 5 days"
    assert tries == 4


def test_less_than_five_days_of_failures_do_not(db):
    """It may come back."""
    endpoint, tries = after_days(db, *[500] * 9, days=4.99)

    assert endpoint.is_enabled
    assert tries == 6


def test_a_success_between_begins_the_days_anew(db):
    """However soon after the failure it came."""
    endpoint, _ = after_days(db, 500, 200, 500, 500, 500, days=6)

    assert endpoint.is_enabled
