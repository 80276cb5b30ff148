"""One handler as a target of the ledger: runs it for an entry, and says what came of it."""

import asyncio
import inspect
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hookloop.errors import ConfigError
from hookloop.events.async_runner import AsyncRunner
from hookloop.events.event import Event
from hookloop.events.log import logger
from hookloop.events.outcomes import Drop, Reject, Retry
from hookloop.events.router import Handler
from hookloop.events.running import Waiting
from hookloop.ledger import delivery as ledger
from hookloop.ledger.store import Lease
from hookloop.ledger.worker import Failed, Settled

from .backend import LeaseLost, Transactions
from .entry import event_of

if TYPE_CHECKING:
    from hookloop.events.receiver import Receiver

__all__ = ["HANDLER_SECONDS", "HandlerTarget", "target_names", "wants_transaction"]

HANDLER_SECONDS = 600.0
"""For an async handler without a deadline of its own: nobody waits for an answer any more, but a
call that hangs would hold its place for ever."""

FETCHED_MAX = 10_000
"""Objects whose last fetch is remembered: some 2 MB."""

PREFIX = "handler:"

Word = ledger.Outcome | Failed | Settled

_RUNNER = AsyncRunner()


def target_names(handlers: Sequence[Handler]) -> dict[Handler, str]:
    """
    Return the ledger's name for each of *handlers*, which are all there are, in their order.

    A name is the function's own, so a process that is started again, and another one, finds its
    work; the second of one name, as two registrations of a function are, is numbered.
    """
    names: dict[Handler, str] = {}
    seen: dict[str, int] = {}
    for handler in handlers:
        if handler in names:
            continue
        name = _imported_name(handler.name)
        number = seen[name] = seen.get(name, 0) + 1
        names[handler] = f"{PREFIX}{name}" + (f"#{number}" if number > 1 else "")
    return names


def _imported_name(name: str) -> str:
    """
    Return *name* as it is where its module is imported.

    A receiver that is run as a program is ``__main__``, and its worker imports it by its name.
    """
    module, dot, rest = name.partition(".")
    if module != "__main__":
        return name
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return f"{spec.name.removesuffix('.__main__')}{dot}{rest}"
    file = getattr(main, "__file__", None)
    return f"{Path(file).stem}{dot}{rest}" if file else name


def wants_transaction(handler: Handler) -> bool:
    """Return whether the function has a parameter named ``tx``."""
    try:
        return "tx" in inspect.signature(handler.function).parameters
    except (TypeError, ValueError):  # a built-in may tell nothing of itself
        return False


@dataclass(frozen=True)
class HandlerTarget:
    """
    Runs *handler*, which is registered at *receiver*. A `hookloop.ledger.worker.Target`.

    | the handler ...       | the delivery                                                  |
    |-----------------------|---------------------------------------------------------------|
    | returns               | is done                                                       |
    | gives `Retry`         | is tried again: after its seconds, or on the schedule         |
    | gives `Reject`        | is dead                                                       |
    | gives `Drop`          | is dead                                                       |
    | raises, or is late    | is tried again on the schedule, and then dead                 |
    """

    handler: Handler
    receiver: "Receiver"
    transactions: Callable[[], Transactions | None] = lambda: None

    _fetched_at: dict[str, float] = field(default_factory=dict, repr=False)
    """By order key when the object was last fetched; another process fetches anew."""

    @cached_property
    def wants_tx(self) -> bool:
        return wants_transaction(self.handler)

    async def deliver(self, lease: Lease) -> Word:
        event = event_of(lease.message, self.receiver.provider)
        try:
            if not self.handler.fresh or lease.delivery.order_key is None:
                return await self._run(event, lease)
            return await self._run_fresh(event, lease)
        except LeaseLost:
            return Settled()
        except (Retry, Reject, Drop) as word:
            return _outcome_of(word, event, self.handler)
        except Exception as error:
            names = {"event_id": event.id, "event_type": event.type, "handler": self.handler.name}
            line = "handler failed handler=%s event=%s type=%s attempt=%d"
            told = (self.handler.name, event.id, event.type, lease.delivery.attempts)
            logger().error(line, *told, exc_info=error, extra=names)
            return Failed(_described(error))

    async def _run_fresh(self, event: Event[Any], lease: Lease) -> Word:
        """Run the handler with the object as it is now; once for all events that came before."""
        line = lease.delivery.order_key or ""
        is_first_try = lease.delivery.attempts == 1  # a person who replays it wants it to run
        if is_first_try and lease.message.received_at <= self._fetched_at.get(line, 0.0):
            return ledger.Done("covered by the run of an earlier event, which fetched the object")
        fetched = await asyncio.to_thread(event.fetch)
        word = await self._run(event.with_object(fetched), lease)
        is_done = isinstance(word, ledger.Done) or (
            isinstance(word, Settled) and isinstance(word.outcome, ledger.Done)
        )
        if is_done and lease.delivery.claimed_at is not None:
            # Before the fetch, and by the store's clock as the time of receipt is.
            self._fetched_at[line] = lease.delivery.claimed_at
            if len(self._fetched_at) > FETCHED_MAX:
                del self._fetched_at[next(iter(self._fetched_at))]
        return word

    async def _run(self, event: Event[Any], lease: Lease) -> Word:
        if not self.wants_tx:
            returned = await self._observed(event, lambda: self._call(event))
            return _outcome_of(returned, event, self.handler)
        transactions = self.transactions()
        if transactions is None:
            raise ConfigError(
                f"{self.handler.name} asks for tx, and this inbox has no transactions to give"
            )
        if self.handler.is_async:
            await self._observed(event, lambda: self._call_in_atx(event, lease, transactions))
        else:
            await self._observed(event, lambda: self._call_in_tx(event, lease, transactions))
        return Settled(ledger.Done())

    async def _observed(
        self, event: Event[Any], call: Callable[[], Coroutine[Any, Any, object]]
    ) -> object:
        with ExitStack() as stack:
            for observer in self.receiver.observers:
                stack.enter_context(observer.attempt(event, self.handler.name))
            returned: object = await call()
            if isinstance(returned, (Retry, Reject, Drop)):
                raise returned
            return returned

    async def _call(self, event: Event[Any]) -> object:
        handler = self.handler
        seconds = handler.deadline_seconds or (HANDLER_SECONDS if handler.is_async else None)
        returned: object = _RUNNER.call(handler.function, event, handler.is_async, seconds)
        return await returned if isinstance(returned, Waiting) else returned

    async def _call_in_atx(
        self, event: Event[Any], lease: Lease, transactions: Transactions
    ) -> None:
        async with (
            asyncio.timeout(self.handler.deadline_seconds or HANDLER_SECONDS),
            transactions.abegin(lease) as tx,
        ):
            _raise_word(await self.handler.function(event, tx=tx))

    async def _call_in_tx(
        self, event: Event[Any], lease: Lease, transactions: Transactions
    ) -> None:
        def work() -> None:
            with transactions.begin(lease) as tx:
                _raise_word(self.handler.function(event, tx=tx))

        await asyncio.to_thread(work)


def _raise_word(returned: object) -> None:
    """Let a word that was returned undo the transaction, as one that is raised does."""
    if isinstance(returned, (Retry, Reject, Drop)):
        raise returned


def _outcome_of(word: object, event: Event[Any], handler: Handler) -> Word:
    if isinstance(word, Retry):
        return Failed("asked for a retry", after_seconds=word.after)
    if isinstance(word, (Reject, Drop)):
        what = "rejected" if isinstance(word, Reject) else "dropped"
        names = {"event_id": event.id, "event_type": event.type, "handler": handler.name}
        told = (what, handler.name, event.id, event.type, word.reason or "no reason given")
        logger().error("event %s handler=%s event=%s type=%s: %s", *told, extra=names)
        return ledger.Dead(f"{what}: {word.reason}" if word.reason else what)
    return ledger.Done()


def _described(error: BaseException) -> str:
    """Return what was raised and where; not its text, which may hold a payload."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    where = Path(trace.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} at {where}:{trace.tb_lineno}"
