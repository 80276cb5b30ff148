"""
One writer: what arrives while a transaction is being flushed goes into the next, together.

A flush costs the same for one change as for two hundred. Nothing is delayed for the sake of
a larger group: the first to arrive is begun at once, and those behind it wait for the disk,
which they would in any case.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import apsw

from hookloop.errors import LocalError, StoreError

from .sqlite_handle import Handle

__all__ = ["BATCH_MAX", "QUEUE_MAX", "GroupCommit", "Points"]

BATCH_MAX = 256
"""Calls of one transaction: enough that a flush is shared well, few enough that none waits long."""

QUEUE_MAX = 10_000
"""Calls that wait for the disk, some seconds' worth; the next is better told to come again."""

OWN_FAULTS = (apsw.ConstraintError, apsw.MismatchError, apsw.MisuseError, apsw.SQLError)
"""What a single call did wrong; all else is the disk's, the file's or another process's fault."""

Answer = TypeVar("Answer")
Points = Callable[[str], None]
"""Is told of each point at which a process might die: for the tests that let it."""


@dataclass(slots=True)
class _Call:
    """One method of the store on its way through the writer."""

    name: str
    work: Callable[[apsw.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    answer: Any = None
    error: BaseException | None = None

    def resolve(self) -> None:
        """Give the answer; in the loop's thread. Who was cancelled does not hear it."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.answer)


class GroupCommit:
    """The thread that owns the writing connection. The owner's duty: `close`."""

    def __init__(self, handle: Handle, *, name: str, points: Points) -> None:
        self._handle = handle
        self._name = name
        self._points = points
        self._queue: SimpleQueue[_Call | None] = SimpleQueue()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name=f"ledger {name}", daemon=True)
        self._thread.start()

    async def run(self, name: str, work: Callable[[apsw.Connection], Answer]) -> Answer:
        """
        Return what *work* returns, once it is committed.

        Raises `StoreError` where it was not, or nobody can know. *work* is run in the writer's
        thread; twice, where another one of its group failed.
        """
        if self._is_closed:
            raise StoreError(f"the ledger {self._name} is closed")
        if self._queue.qsize() >= QUEUE_MAX:
            raise StoreError(
                f"the ledger {self._name} has {QUEUE_MAX} calls waiting for its disk: come again "
                "later"
            )
        loop = asyncio.get_running_loop()
        call = _Call(name, work, loop, loop.create_future())
        self._queue.put(call)
        answer: Answer = await call.future
        return answer

    def close(self) -> None:
        """Commit what was asked for, and close the connection. Blocks until that is done."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(None)
        self._thread.join()

    # --- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._next_batch():
            self._commit(batch)
            for loop in {call.loop for call in batch}:
                mine = [call for call in batch if call.loop is loop]
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                    loop.call_soon_threadsafe(_resolve, mine)
            self._points("answered")
        self._handle.close()

    def _next_batch(self) -> list[_Call]:
        """Wait for a call, and take those behind it; nothing means the end."""
        batch = []
        call = self._queue.get()
        while call is not None:
            batch.append(call)
            if len(batch) == BATCH_MAX:
                return batch
            try:
                call = self._queue.get_nowait()
            except Empty:
                return batch
        if batch:
            self._queue.put(None)  # the end comes after what was asked for before
        return batch

    def _commit(self, batch: list[_Call]) -> None:
        """
        One transaction for all. Where the fault is one call's own, one for each, and the others
        go through; where it is the disk's, nobody's does.
        """
        error = self._try_commit(batch)
        if error is None:
            return
        is_for_all = len(batch) == 1 or isinstance(error, StoreError)
        for call in batch:
            call.error = error if is_for_all else self._try_commit([call])

    def _try_commit(self, batch: list[_Call]) -> BaseException | None:
        try:
            with self._handle.using() as connection, _rolled_back(connection):
                connection.execute("BEGIN IMMEDIATE")
                for call in batch:
                    call.answer = call.work(connection)
                    self._points(f"{call.name}:written")
                self._points("before commit")
                connection.execute("COMMIT")
        except Exception as error:  # whatever it is, its caller must hear of it
            return self._translated(error)
        self._points("after commit")
        return None

    def _translated(self, error: Exception) -> Exception:
        if not isinstance(error, apsw.Error):
            return error
        if isinstance(error, OWN_FAULTS):
            return LocalError(f"the ledger {self._name} was asked for nonsense: {error}")
        return StoreError(
            f"the ledger {self._name} cannot be written ({type(error).__name__}: {error}): "
            "nothing is acknowledged until its disk is well again"
        )


@contextlib.contextmanager
def _rolled_back(connection: apsw.Connection) -> Iterator[None]:
    """Leave no transaction behind."""
    try:
        yield
    finally:
        # Some errors, a full disk among them, have rolled back already.
        if connection.in_transaction:
            with contextlib.suppress(apsw.Error):
                connection.execute("ROLLBACK")


def _resolve(calls: list[_Call]) -> None:
    for call in calls:
        call.resolve()
