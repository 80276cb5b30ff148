"""
A task kept ready, for work that must not be cut and mostly never comes to wait.

Python 3.11 alone needs it: from 3.12 on asyncio starts a task at once where it is asked to.
Before, a task costs two turns of the loop even where the work ends in its first step, and
that is half as much as all else we do for an event.

So the first step of the work is taken at once, in its caller's turn of the loop, but in the
name of a spare task that sleeps: `asyncio.current_task()` is that one. Most work ends there,
and the spare sleeps on, for the next. Work that comes to wait is handed over to the spare,
which from then on is its task for good: so what the first step remembered of its task, as
`asyncio.timeout` and `TaskGroup` do, stays true.
"""

import asyncio
from asyncio.tasks import _current_tasks  # type: ignore[attr-defined]  # 3.11 changes no more
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any

from .running import Waiting

__all__ = ["SpareTask", "run_unbroken"]

LOOPS_MAX = 16  # a loop that is left without cancelling its tasks leaves its spare behind


def run_unbroken(work: Coroutine[Any, Any, None]) -> Waiting | None:
    """Run *work* to its end though its caller is cancelled; None: it has ended already."""
    loop = asyncio.get_running_loop()
    # Taken away, for the work may itself come here.
    spare = _spares.pop(loop, None)
    if spare is None or spare.task.cancelling():  # as all tasks are when a loop ends
        spare = SpareTask(loop)
    context = copy_context()  # as every task has one of its own
    caller = _current_tasks.get(loop)
    _current_tasks[loop] = spare.task
    waits_for = _ENDED  # for where it raises
    try:
        # `send` would make an exception of the end, only for us to catch it.
        waits_for = context.run(next, work.__await__(), _ENDED)
    finally:
        if caller is None:
            del _current_tasks[loop]
        else:
            _current_tasks[loop] = caller
        if waits_for is _ENDED:
            spare.keep()
    return None if waits_for is _ENDED else Waiting(spare.hand_over(work, context, waits_for))


_ENDED = object()
_TOLD = object()

_spares: "dict[asyncio.AbstractEventLoop, SpareTask]" = {}
_at_work: "set[SpareTask]" = set()  # a loop itself holds its tasks but weakly


class SpareTask(Coroutine[Any, Any, None]):
    """
    A task, and what it runs: sleep until there is work, and then the work.

    Not a coroutine of Python's own: one that is cancelled before it has begun never begins,
    and the work that was handed to it would be lost.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._alarm: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._work: Coroutine[Any, Any, None] | None = None
        self._context = Context()
        self._waits_for: object = _TOLD
        """What the first step of the work came to wait for, until the task has been told."""
        # In an empty context: it would hold the first request's for ever.
        self.task = asyncio.Task(self, loop=loop, context=self._context)
        # To be asleep when the loop ends is as it should be.
        self.task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001  # as `gather` does

    # --- for the caller -----------------------------------------------------------------------

    def keep(self) -> None:
        """Be there for the next work, where the last has left nothing to its task."""
        if self.task._callbacks:  # noqa: SLF001  # there is no other way to ask
            self._wake()  # somebody waits for the end of this task: without work, it ends
            return
        if len(_spares) >= LOOPS_MAX:
            _spares.clear()
        _spares[self._loop] = self

    def hand_over(
        self, work: Coroutine[Any, Any, None], context: Context, waits_for: object
    ) -> "asyncio.Future[None]":
        """Return the work's end; who waits for it and is cancelled cancels nothing else."""
        self._work, self._context, self._waits_for = work, context, waits_for
        _at_work.add(self)
        self._wake()
        return self._ended

    def _wake(self) -> None:
        if not self._alarm.done():  # else it has been cancelled, and wakes up by that
            self._alarm.set_result(None)

    # --- for the task -------------------------------------------------------------------------

    def send(self, value: Any) -> Any:
        """Go to sleep, or on with the work."""
        if self._work is None:
            if self._alarm.done():
                raise StopIteration
            return next(self._alarm.__await__())
        if self._waits_for is not _TOLD:
            return self._tell()
        return self._step(self._work.send, value)

    def throw(self, error: Any, *_: Any) -> Any:
        """Do what a task does that is cancelled: cancel what the work waits for, or throw."""
        if self._work is None:
            if _spares.get(self._loop) is self:
                del _spares[self._loop]
            raise error
        if self._waits_for is not _TOLD:
            waits_for = self._tell()
            if asyncio.isfuture(waits_for) and waits_for.cancel(*error.args):
                return waits_for
        return self._step(self._work.throw, error)

    def close(self) -> None:
        """Nothing is open here: what the work has opened, its own end closes."""

    def __await__(self) -> Any:
        raise NotImplementedError("a task runs this, and nobody else")

    @property
    def cr_frame(self) -> Any:
        """Where the work is: for `Task.get_stack`, and for who dumps all tasks."""
        return getattr(self._work, "cr_frame", None)

    @property
    def cr_code(self) -> Any:
        """What the work is: for the `repr` of its task."""
        return getattr(self._work, "cr_code", None)

    @property
    def cr_running(self) -> bool:
        """Whether the work is in the middle of a step."""
        return bool(getattr(self._work, "cr_running", False))

    def _tell(self) -> Any:
        waits_for, self._waits_for = self._waits_for, _TOLD
        return waits_for

    def _step(self, resume: Callable[[Any], Any], value: Any) -> Any:
        try:
            return self._context.run(resume, value)
        except BaseException as end:
            self._end(end)
            if isinstance(end, Exception) and not self._ended.cancelled():
                raise StopIteration from None  # who waits is told of it, and that is enough
            raise

    def _end(self, how: BaseException) -> None:
        _at_work.discard(self)
        del self.task  # which holds us: garbage that nobody need collect
        if self._ended.cancelled():
            return
        if isinstance(how, StopIteration):
            self._ended.set_result(None)
        elif isinstance(how, asyncio.CancelledError):
            self._ended.cancel(*how.args)
        else:
            self._ended.set_exception(how)
