"""An inbox behind every face: it keeps before it answers, refuses what it cannot, handles later."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

import apsw
import pytest
import uvicorn
from faces import FACES, PATH, Face
from patience import PATIENCE

from hookloop import Event, Hooks
from hookloop.inbox import Inbox, InboxSettings
from hookloop.inbox.inbox import ACCEPT_SECONDS
from hookloop.ledger import sqlite
from hookloop.schedule import RetrySchedule
from hookloop.testing import make, sign

SECRET = "whsec_faces"
KINDS = ("sync", "asynchronous")


@pytest.fixture(params=FACES, ids=lambda face: face.name)
def face(request: pytest.FixtureRequest) -> Face:
    return request.param


class Shop:
    """An application with a handler of each kind, and what they have done."""

    def __init__(self, folder: Path, *, works: bool) -> None:
        self.path = folder / "hooks.db"
        self.done: list[tuple[str, str]] = []
        self._changed = threading.Condition()
        settings = InboxSettings(work_here=works, schedule=RetrySchedule((0.0,) * 3))
        self.inbox = Inbox(f"sqlite:///{self.path}", settings)
        self.hooks = Hooks(SECRET, inbox=self.inbox)

        @self.hooks.on("customer.updated")
        def sync(event: Event) -> None:
            self._did("sync", event)

        @self.hooks.on("customer.updated")
        async def asynchronous(event: Event) -> None:
            self._did("asynchronous", event)

    def _did(self, kind: str, event: Event) -> None:
        with self._changed:
            self.done.append((kind, event.id))
            self._changed.notify_all()

    def wait(self, count: int) -> list[tuple[str, str]]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.done) >= count, PATIENCE), self.done
            return sorted(self.done)

    def kept(self) -> int:
        """Return how many events another connection finds: those that are committed."""
        with closing(apsw.Connection(str(self.path))) as connection:
            return connection.execute("SELECT count(*) FROM message").fetchone()[0]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have the one write lock of the file, as a backup that hangs has."""
    with closing(apsw.Connection(str(path))) as other:
        other.set_busy_timeout(int(PATIENCE * 1000))  # a worker may be settling
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path, works=False)
    yield shop
    shop.inbox.stop()


def test_what_any_face_accepts_is_committed_and_a_worker_handles_it(
    face: Face, shop: Shop, tmp_path: Path
):
    """The answer comes after the commit, a duplicate adds nothing, and each handler runs once."""
    for number in range(3):
        event = make("customer.updated", id=f"evt_{number}")
        answer = face.send(shop.hooks, event, secret=SECRET)
        assert (answer.status, answer.outcome) == (200, "accepted")
        assert shop.kept() == number + 1
        again = face.send(shop.hooks, event, secret=SECRET)
        assert (again.status, again.outcome) == (200, "duplicate")
    assert shop.done == []

    worker = Shop(tmp_path, works=True)
    worker.inbox.start()
    try:
        assert worker.wait(6) == sorted((kind, f"evt_{n}") for kind in KINDS for n in range(3))
    finally:
        worker.inbox.stop()
    assert len(worker.done) == 6


def test_what_any_face_cannot_keep_is_503_and_is_taken_afterwards(
    face: Face, shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    """Retry-After is said on every face; nothing is acknowledged that is not kept."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)  # the real limits are in the next test
    first, second = (make("customer.updated", id=f"evt_{n}") for n in range(2))
    assert face.send(shop.hooks, first, secret=SECRET).status == 200

    with locked(shop.path):
        refused = face.send(shop.hooks, second, secret=SECRET)

    assert (refused.status, refused.outcome) == (503, "unavailable")
    assert refused.headers["retry-after"] == "10"
    assert shop.kept() == 1
    assert face.send(shop.hooks, second, secret=SECRET).outcome == "accepted"
    assert shop.kept() == 2


class Served:
    """An application under uvicorn, on a port of its own."""

    def __init__(self, app: object) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE)

    def post(self, event: dict) -> http.client.HTTPResponse:
        signed = sign(event, SECRET)
        connection = http.client.HTTPConnection(*self._socket.getsockname(), timeout=PATIENCE)
        connection.request("POST", PATH, signed.body, dict(signed.headers))
        with closing(connection):
            answer = connection.getresponse()
            answer.read()
            return answer


def test_uvicorn_keeps_refuses_in_time_and_handles(tmp_path: Path):
    """Over a real socket, with the real limits."""
    assert ACCEPT_SECONDS < 3.0
    shop = Shop(tmp_path, works=True)
    first, second = (make("customer.updated", id=f"evt_{n}") for n in range(2))
    with Served(shop.hooks.asgi) as served:
        assert served.post(first).status == 200
        shop.wait(2)
        with locked(shop.path):
            refused = served.post(second)  # answered while the lock lasts, however long that is
        assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
        assert served.post(second).status == 200
        shop.wait(4)

    assert sorted(shop.done) == sorted((kind, f"evt_{n}") for kind in KINDS for n in range(2))
