"""`hookloop worker` as a user starts it: real processes, a real file, real signals."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import new_database

from hookloop.inbox.admin import each_run
from hookloop.inbox.backend import backend_for
from hookloop.ledger.delivery import State
from hookloop.ledger.store import Selection

HERE = Path(__file__).parent
WAIT_SECONDS = 60.0
"""For a process to start and do its work, beside whatever else keeps the machine busy."""


class App:
    """The application in a folder of its own: what has received, what works, and its effects."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder = folder
        self.url = url or f"sqlite:///{folder}/hooks.db"
        self.workers: list[subprocess.Popen[str]] = []
        self._env = os.environ | {
            "INBOX_FOLDER": str(folder),
            "INBOX_URL": self.url,
            "PYTHONPATH": str(HERE),
        }

    def accept(self, type_: str, *, first: int = 1, count: int = 1) -> list[str]:
        """Receive events in a process of its own, and return what their sender was told."""
        done = subprocess.run(
            [sys.executable, str(HERE / "inbox_app.py"), type_, str(first), str(count)],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=True,
        )
        return [line.split()[2] for line in done.stdout.splitlines()]

    def start_worker(self) -> subprocess.Popen[str]:
        worker = subprocess.Popen(
            [sys.executable, "-m", "hookloop", "worker", "inbox_app:hooks"],
            env=self._env,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.workers.append(worker)
        return worker

    def effects(self) -> list[str]:
        try:
            lines = (self.folder / "effects").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [" ".join(line.split()[:2]) for line in lines]

    def wait(self, is_so) -> None:
        pause = threading.Event()
        deadline = time.monotonic() + WAIT_SECONDS
        while not is_so():
            assert time.monotonic() < deadline, (self.effects(), self.runs())
            pause.wait(0.05)

    def runs(self) -> dict[str, list[tuple[State, str]]]:
        """Return each handler's deliveries: their states and what the last attempt left."""

        async def look():
            store = await backend_for(self.url).open()
            try:
                return [run async for run in each_run(store, Selection())]
            finally:
                await store.close()

        found: dict[str, list[tuple[State, str]]] = {}
        for run in asyncio.run(look()):
            name = run.handler.rpartition(".")[2]
            found.setdefault(name, []).append((run.delivery.state, run.delivery.detail))
        return found

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.communicate()

    def is_settled(self) -> bool:
        return all(state.is_settled for found in self.runs().values() for state, _ in found)


@pytest.fixture
def app(tmp_path) -> Iterator[App]:
    app = App(tmp_path)
    yield app
    app.end()


@pytest.fixture
def postgres_app(tmp_path) -> Iterator[App]:
    app = App(tmp_path, new_database())
    yield app
    app.end()


def test_what_one_process_accepted_another_one_handles(app):
    """A restart in between loses nothing; the worker says what it works for, and what it did."""
    assert app.accept("customer.created", count=20) == ["accepted"] * 20
    assert app.accept("customer.created", count=20) == ["duplicate"] * 20

    worker = app.start_worker()
    app.wait(lambda: len(app.effects()) >= 40 and app.is_settled())
    worker.send_signal(signal.SIGTERM)
    said, _ = worker.communicate(timeout=WAIT_SECONDS)

    assert worker.returncode == 0
    assert len(app.effects()) == len(set(app.effects())) == 40
    assert "inbox_app.asynchronous" in said
    assert "Attempts: 40 done." in said


def test_workers_share_an_inbox_in_postgres(postgres_app):
    """Named by its URL, for the receiver and for two workers: each handler runs once."""
    app = postgres_app
    assert app.accept("customer.created", count=20) == ["accepted"] * 20
    assert app.accept("customer.created", count=20) == ["duplicate"] * 20

    workers = [app.start_worker(), app.start_worker()]
    for worker in workers:  # from then on it ends in order
        assert worker.stdout is not None
        assert any("Working off postgresql://" in line for line in worker.stdout)
    app.wait(lambda: len(app.effects()) >= 40 and app.is_settled())
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    for worker in workers:
        said, _ = worker.communicate(timeout=WAIT_SECONDS)
        assert worker.returncode == 0, said

    assert len(app.effects()) == len(set(app.effects())) == 40


def test_a_worker_told_to_stop_finishes_what_is_running(app):
    """And nobody else runs it: its lease is renewed for as long as the handler takes."""
    app.accept("customer.updated")
    first = app.start_worker()
    app.wait(lambda: "slow-begins evt_1" in app.effects())
    app.start_worker()

    first.send_signal(signal.SIGTERM)
    # Three of its leases have run out and been renewed by now, or another worker would begin.
    threading.Event().wait(3.0)
    (app.folder / "may-end").touch()
    first.communicate(timeout=WAIT_SECONDS)

    assert first.returncode == 0
    assert app.effects() == ["slow-begins evt_1", "slow-ends evt_1"]
    assert app.runs()["slow"] == [(State.DONE, "")]


def test_what_a_killed_worker_had_in_hand_is_handled_by_another(app):
    """kill -9 in the middle of a handler: it begins anew once the lease has run out."""
    app.accept("customer.updated")
    first = app.start_worker()
    app.wait(lambda: "slow-begins evt_1" in app.effects())

    first.kill()
    (app.folder / "may-end").touch()
    app.start_worker()
    app.wait(lambda: "slow-ends evt_1" in app.effects() and app.is_settled())

    assert app.effects() == ["slow-begins evt_1"] * 2 + ["slow-ends evt_1"]
    assert app.runs()["slow"][0][0] is State.DONE


def test_a_handler_that_kills_its_process_is_given_up(app):
    """After three crashes it is dead with that reason; the innocent beside it are handled."""
    app.accept("customer.deleted", count=1)
    app.accept("customer.created", first=2, count=5)

    for _ in range(3):
        assert app.start_worker().wait(WAIT_SECONDS) == 9
    app.start_worker()
    app.wait(app.is_settled)

    assert app.effects().count("poison evt_1") == 3
    assert app.runs()["poison"] == [(State.DEAD, "its worker died 3 times")]
    assert {state for state, _ in app.runs()["innocent"]} == {State.DONE}
    assert {f"plain evt_{number}" for number in range(2, 7)} < set(app.effects())


def test_hooks_without_an_inbox_have_nothing_to_work_off(tmp_path):
    """The command says so, and how to give them one."""
    (tmp_path / "bare.py").write_text("from hookloop import Hooks\nhooks = Hooks('whsec_x')\n")

    done = subprocess.run(
        [sys.executable, "-m", "hookloop", "worker", "bare:hooks"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )

    assert done.returncode == 2
    assert "inbox=" in done.stderr
