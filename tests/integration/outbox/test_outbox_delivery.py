"""The outbox over real files and sockets: from a commit to what its receiver verified."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from outbox_receiver import LOCAL, WAIT_SECONDS, Receiver, running, until_settled
from standardwebhooks import Webhook

from hookloop import ProviderHooks
from hookloop.errors import ConfigError
from hookloop.events.providers import StandardWebhooks
from hookloop.ledger.delivery import State
from hookloop.outbox import Outbox, OutboxMessage, OutboxSettings


@pytest.fixture
def app_db(tmp_path) -> Path:
    path = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE invoice (id INTEGER PRIMARY KEY, paid INTEGER)")
        conn.commit()
    return path


def post(outbox: Outbox, path: Path, *messages: OutboxMessage, commit: bool = True) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as conn:
        conn.execute("INSERT INTO invoice (paid) VALUES (1)")
        ids = [outbox.append_sync(message, conn=conn) for message in messages]
        if commit:
            conn.commit()
    return ids


def test_what_a_transaction_appends_both_libraries_verify(app_db):
    """The official package and our own handlers take the same bytes; a rollback sends nothing."""

    async def main():
        outbox = Outbox(f"sqlite:///{app_db}", settings=LOCAL)
        async with outbox, Receiver().listening() as receiver, running(outbox):
            endpoint = await outbox.add_endpoint(receiver.url, account="acme")
            post(outbox, app_db, OutboxMessage("invoice.void", account="acme"), commit=False)
            [id_] = post(outbox, app_db, OutboxMessage("invoice.paid", {"id": 7}, account="acme"))
            [sent] = await until_settled(outbox, endpoint.id)
        return endpoint.secrets[0].value, id_, sent, receiver.requests

    secret, id_, sent, [(headers, body)] = asyncio.run(main())

    assert Webhook(secret).verify(body, headers)["data"] == {"id": 7}
    hooks, seen = ProviderHooks(StandardWebhooks(), secrets=secret), []
    hooks.on_any(lambda event: seen.append((event.id, event.type)))
    assert hooks.receive(body, headers).status == 200
    assert seen == [(id_, "invoice.paid")]
    assert headers["webhook-id"] == id_ == sent.message
    assert sent.attempts[0].detail == "200 answer 200"


def test_a_failure_is_tried_again_under_the_same_id_until_it_is_taken(app_db):
    """500, then a redirect, which is not followed; then 200."""

    async def main():
        outbox = Outbox(f"sqlite:///{app_db}", settings=LOCAL)
        receiver = Receiver(500, 302, headers={"Location": "/elsewhere"})
        async with outbox, receiver.listening(), running(outbox):
            endpoint = await outbox.add_endpoint(receiver.url)
            post(outbox, app_db, OutboxMessage("a.b"))
            [sent] = await until_settled(outbox, endpoint.id)
            well = await outbox.endpoint(endpoint.id)
        return receiver.requests, sent, well

    requests, sent, well = asyncio.run(main())

    assert len({headers["webhook-id"] for headers, _ in requests}) == 1
    assert [attempt.result.value for attempt in sent.attempts] == ["retry", "retry", "done"]
    assert "redirect is not followed" in sent.attempts[1].detail
    assert well.failing_since is None


def test_an_exhausted_schedule_is_dead_and_resent_by_hand(app_db):
    """What was given up is kept, and a person sends it again."""

    async def main():
        outbox = Outbox(f"sqlite:///{app_db}", settings=LOCAL)
        receiver = Receiver(500, 500, 500)
        async with outbox, receiver.listening(), running(outbox):
            endpoint = await outbox.add_endpoint(receiver.url)
            [id_] = post(outbox, app_db, OutboxMessage("a.b"))
            [dead] = await until_settled(outbox, endpoint.id)
            count = await outbox.resend(message=id_)
            await receiver.wait_requests(4)
            [done] = await until_settled(outbox, endpoint.id)
        return dead.delivery.state, count, done.delivery.state

    assert asyncio.run(main()) == (State.DEAD, 1, State.DONE)


def test_gone_disables_the_endpoint(app_db):
    """After 410 nothing more is owed to it, and who asks is told why."""

    async def main():
        outbox = Outbox(f"sqlite:///{app_db}", settings=LOCAL)
        async with outbox, Receiver(410).listening() as receiver, running(outbox):
            endpoint = await outbox.add_endpoint(receiver.url)
            post(outbox, app_db, OutboxMessage("a.b"))
            await until_settled(outbox, endpoint.id)
            return await outbox.endpoint(endpoint.id)

    endpoint = asyncio.run(main())

    assert not endpoint.is_enabled
    assert "410" in endpoint.disabled_reason


def test_a_rolled_secret_signs_along(app_db):
    """Two signatures: a receiver with the old secret and one with the new take the same attempt."""

    async def main():
        outbox = Outbox(f"sqlite:///{app_db}", settings=LOCAL)
        async with outbox, Receiver().listening() as receiver, running(outbox):
            old = await outbox.add_endpoint(receiver.url)
            new = await outbox.rotate_secret(old.id)
            post(outbox, app_db, OutboxMessage("a.b"))
            await until_settled(outbox, old.id)
        return old.secrets[0].value, new.secrets[0].value, receiver.requests[0]

    old, new, (headers, body) = asyncio.run(main())

    assert old != new
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        Webhook(secret).verify(body, headers)


def test_dead_endpoints_slow_nobody_else(app_db):
    """More that hang than attempts of one endpoint may run; the one that is well has all of its."""

    async def main():
        outbox = Outbox(f"sqlite:///{app_db}", settings=LOCAL)
        slow, quick = Receiver(), Receiver()
        slow.hang.clear()
        async with outbox, slow.listening(), quick.listening(), running(outbox):
            for _ in range(6):
                await outbox.add_endpoint(slow.url)
            well = await outbox.add_endpoint(quick.url)
            post(outbox, app_db, *[OutboxMessage("a.b", {"n": n}) for n in range(50)])
            await quick.wait_requests(50)
            await until_settled(outbox, well.id, 50)
            hanging = len(slow.requests)
            slow.hang.set()
        return hanging, len(quick.requests)

    hanging, taken = asyncio.run(main())

    assert taken == 50
    assert hanging <= 6 * LOCAL.endpoint_attempts_at_once


def test_too_many_requests_holds_the_endpoint_without_burning_attempts(app_db):
    """It said how long; the delivery has no failure for it."""

    async def main():
        outbox = Outbox(f"sqlite:///{app_db}", settings=LOCAL)
        receiver = Receiver(429, headers={"Retry-After": "1"})
        async with outbox, receiver.listening(), running(outbox):
            endpoint = await outbox.add_endpoint(receiver.url)
            post(outbox, app_db, OutboxMessage("a.b"))
            await receiver.wait_requests(1)
            [sent] = await until_settled(outbox, endpoint.id)
        return sent

    sent = asyncio.run(main())

    assert [attempt.result.value for attempt in sent.attempts] == ["released", "done"]
    assert sent.delivery.failures == 0
    assert sent.attempts[1].started_at - sent.attempts[0].ended_at >= 0.9


def test_an_order_key_is_kept_over_failures(app_db):
    """The second waits until the first one, which fails twice, is through."""

    async def main():
        outbox = Outbox(f"sqlite:///{app_db}", settings=LOCAL)
        receiver = Receiver(500, 500)
        async with outbox, receiver.listening(), running(outbox):
            endpoint = await outbox.add_endpoint(receiver.url)
            messages = [OutboxMessage("a.b", {"n": n}, order_key="x") for n in range(3)]
            post(outbox, app_db, *messages)
            await until_settled(outbox, endpoint.id, 3)
        return [json.loads(body)["data"]["n"] for _, body in receiver.requests]

    assert asyncio.run(main()) == [0, 0, 0, 1, 2]


def test_other_accounts_and_types_are_not_told(app_db):
    """A customer sees neither another one's messages nor what it did not ask for."""

    async def main():
        outbox = Outbox(f"sqlite:///{app_db}", settings=LOCAL)
        async with outbox, Receiver().listening() as receiver, running(outbox):
            only = {"account": "acme", "enabled_events": ("invoice.*",)}
            endpoint = await outbox.add_endpoint(receiver.url, **only)
            post(
                outbox,
                app_db,
                OutboxMessage("invoice.paid", account="other"),
                OutboxMessage("customer.new", account="acme"),
                OutboxMessage("invoice.paid", account="acme"),
            )
            return await until_settled(outbox, endpoint.id), receiver.requests

    sent, requests = asyncio.run(main())

    assert len(sent) == len(requests) == 1


def test_the_same_id_is_sent_once(app_db):
    """An append that is repeated, because its caller did not hear of the commit."""

    async def main():
        outbox = Outbox(f"sqlite:///{app_db}", settings=LOCAL)
        async with outbox, Receiver().listening() as receiver, running(outbox):
            endpoint = await outbox.add_endpoint(receiver.url)
            once = OutboxMessage("a.b", id="msg_once")
            post(outbox, app_db, once, once)
            await until_settled(outbox, endpoint.id)
            post(outbox, app_db, once, OutboxMessage("a.b", id="msg_last"))
            await until_settled(outbox, endpoint.id, 2)
        return [headers["webhook-id"] for headers, _ in receiver.requests]

    assert asyncio.run(main()) == ["msg_once", "msg_last"]


def test_private_addresses_are_refused_however_they_are_spelt(app_db):
    """At the registration where the URL says it, at the connect where only a look-up does."""

    async def main():
        outbox = Outbox(f"sqlite:///{app_db}", settings=OutboxSettings(look_seconds=0.02))
        async with outbox, running(outbox):
            for host in ("127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "localhost"):
                with pytest.raises(ConfigError, match="not a public address"):
                    await outbox.add_endpoint(f"https://{host}/hook")
            endpoint = await outbox.add_endpoint("https://0x7f000001/hook")
            post(outbox, app_db, OutboxMessage("a.b"))
            async with asyncio.timeout(WAIT_SECONDS):
                found = []
                while not (found and found[0].attempts):
                    found = await outbox.history(endpoint.id)
                    await outbox._store.wait_due((f"endpoint:{endpoint.id}",), LOCAL.look_seconds)
            return found[0].attempts[0].detail

    assert "not a public address" in asyncio.run(main())


def test_a_connection_without_a_transaction_is_refused(app_db):
    """It would keep the message whatever becomes of the caller's own rows."""
    outbox = Outbox(f"sqlite:///{app_db}")
    asyncio.run(outbox.create_tables())
    with contextlib.closing(sqlite3.connect(app_db, isolation_level=None)) as conn:
        with pytest.raises(ConfigError, match="no transaction is open"):
            outbox.append_sync(OutboxMessage("a.b"), conn=conn)
        conn.execute("BEGIN")
        outbox.append_sync(OutboxMessage("a.b"), conn=conn)
        conn.execute("ROLLBACK")
        assert conn.execute("SELECT count(*) FROM hookloop_outbox").fetchone() == (0,)


def test_apsw_connections_are_taken(app_db):
    """Within a transaction, and only there."""
    outbox = Outbox(f"sqlite:///{app_db}")
    asyncio.run(outbox.create_tables())
    conn = apsw.Connection(str(app_db))
    with pytest.raises(ConfigError, match="no transaction is open"):
        outbox.append_sync(OutboxMessage("a.b"), conn=conn)
    with conn:
        outbox.append_sync(OutboxMessage("a.b"), conn=conn)
    assert conn.execute("SELECT type FROM hookloop_outbox").fetchall() == [("a.b",)]
    conn.close()


def start(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def test_a_worker_killed_with_sigkill_loses_and_doubles_nothing_it_recorded(app_db):
    """The real command, killed in the middle; a second one delivers what is left."""

    async def main():
        outbox = Outbox(f"sqlite:///{app_db}", settings=LOCAL)
        async with outbox, Receiver().listening() as receiver:
            await outbox.add_endpoint(receiver.url)
            ids = post(outbox, app_db, *[OutboxMessage("a.b") for _ in range(100)])
            command = [sys.executable, "-m", "hookloop", "outbox", "worker"]
            command += ["--db", f"sqlite:///{app_db}", "--allow-http", "--lease-seconds", "2"]
            command += ["--allow-network", "127.0.0.0/8"]
            first = start(command)
            await receiver.wait_requests(20)
            os.kill(first.pid, signal.SIGKILL)
            await asyncio.to_thread(first.wait)
            second = start(command)
            async with asyncio.timeout(90), receiver.changed:
                await receiver.changed.wait_for(
                    lambda: {h["webhook-id"] for h, _ in receiver.requests} >= set(ids)
                )
            second.terminate()
            await asyncio.to_thread(second.wait)
        return ids, [headers["webhook-id"] for headers, _ in receiver.requests]

    ids, seen = asyncio.run(main())

    assert set(seen) == set(ids)
    # What was in flight when it died comes twice at most, and no more than was in flight.
    assert len(seen) - len(ids) <= 2 * LOCAL.endpoint_attempts_at_once
