"""The path of a request: judge it, find its handlers, run them, answer."""

# What `threading.Lock` is; `threading` itself costs 1 ms to import.
from _thread import allocate_lock
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from hookloop.clock import Clock, SystemClock
from hookloop.errors import ConfigError
from hookloop.signing import TOLERANCE_SECONDS

from .attempts import SYNCHRONOUS_SECONDS, reply_result, run_handlers
from .event import PLACEHOLDER_ID, Event, as_event
from .faces import Faces
from .incoming import HeadersLike, Incoming
from .keyring import Keyring, SecretsLike
from .log import RefusalLog, logger
from .receive import BODY_BYTES_MAX, Rejected, judge
from .recent import RECENT_MAX, Claim, RecentEvents
from .registration import Registration
from .result import Result, short_result
from .router import Handler, is_async
from .running import Runner, SyncRunner, Waiting

if TYPE_CHECKING:
    from .intake import Database, Intake
    from .observer import Observer
    from .providers import Provider

__all__ = ["Receiver", "SecretsLookup"]

SecretsLookup: TypeAlias = Callable[[Incoming], Any]

_SYNC = SyncRunner()
_IGNORED = short_result(200, "ignored")
_DUPLICATE = short_result(200, "duplicate")
_BUSY = short_result(409, "busy")


class Receiver(Registration, Faces):
    """
    Handlers, and the requests that make them run.

    Everything of a request happens here once, for every face: the sync ones run `answer`
    over a runner that never waits.
    """

    def __init__(
        self,
        secrets: SecretsLike | SecretsLookup,
        *,
        provider: "Provider",
        tolerance: float = TOLERANCE_SECONDS,
        livemode: bool | None = None,
        body_bytes_max: int = BODY_BYTES_MAX,
        recent_max: int = RECENT_MAX,
        clock: Clock | None = None,
        inbox: "Intake | Database | str | None" = None,
    ) -> None:
        super().__init__()
        if not 0 < tolerance < float("inf"):
            raise ConfigError(f"a tolerance of {tolerance!r} s is not a positive number of seconds")
        if body_bytes_max <= 0:
            raise ConfigError(f"body_bytes_max is {body_bytes_max!r}, and no body is that small")
        self.provider = provider
        self.tolerance = tolerance
        self.body_bytes_max = body_bytes_max
        self._livemode = livemode
        self._clock = clock or SystemClock()
        self._lookup = secrets if callable(secrets) else None
        self._lookup_is_async = callable(secrets) and is_async(secrets)
        self._is_judged_at_once = self._lookup is None and self._needs_secrets
        self._keyring = Keyring(() if callable(secrets) else secrets or (), provider)
        if self._lookup is None and self._needs_secrets and not self._keyring.secrets:
            raise ConfigError(
                f"{type(self).__name__} needs a signing secret and none is set: Stripe shows the "
                "endpoint's, whsec_..., in its dashboard"
            )
        self._recent = RecentEvents(recent_max) if recent_max > 0 else None
        self._observers: list[Observer] = []
        self._inbox: Intake | None = None
        self._inbox_lock = allocate_lock()
        self._inbox_at: str | Database | None = None
        if inbox is None or isinstance(inbox, str) or not hasattr(inbox, "attach"):
            self._inbox_at = inbox
        else:
            self._inbox = cast("Intake", inbox)
            self._inbox.attach(self)
        self._refusals = RefusalLog()

    _needs_secrets = True

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.provider.name}, {len(self.router.handlers())} handlers>"
        )

    # --- receiving --------------------------------------------------------------------------

    def receive(
        self, body: bytes, headers: HeadersLike, *, method: str = "POST", path: str = ""
    ) -> Result:
        """
        Verify a request, run the handlers of its event, and return what to answer.

        The caller's duty: *body* is the raw body, the very bytes that were signed. All
        handlers run, whatever the others do; one that raises makes the answer a 500, so
        that the event is sent again. Sync handlers run in this thread, async ones on one
        loop in the background. Never raises, whatever the request holds.
        """
        request = Incoming(_checked_body(body), headers, method=method, path=path)
        return cast("Result", self.answer(request, _SYNC))

    async def areceive(
        self, body: bytes, headers: HeadersLike, *, method: str = "POST", path: str = ""
    ) -> Result:
        """Do what `receive` does, from async code: sync handlers run in a thread."""
        from .async_runner import AsyncRunner

        request = Incoming(_checked_body(body), headers, method=method, path=path)
        result = self.answer(request, AsyncRunner())
        return await result if isinstance(result, Waiting) else result

    def receive_trusted(self, event: Event[Any]) -> Result:
        """
        Run the handlers of an event that needs no signature, and return what to answer.

        The caller's duty: to know where *event* comes from.
        """
        started = self._clock.monotonic()
        try:
            return cast("Result", self._act_on(event, None, _SYNC, started))
        except Exception as error:  # a provider of the user's
            return self._failed(error, started)

    def refuse(self, rejected: Rejected) -> Result:
        """Log and observe a request that a face refused before its body was read."""
        now = self._clock.monotonic()
        return self._refused(rejected, now)

    # --- the inbox --------------------------------------------------------------------------

    @property
    def inbox(self) -> "Intake | None":
        """What keeps the events until they are handled; None where requests run the handlers."""
        if self._inbox is None and self._inbox_at is not None:
            from .intake import intake_at

            with self._inbox_lock:
                if self._inbox is None:
                    self._inbox = intake_at(self._inbox_at)
                    self._inbox.attach(self)
        return self._inbox

    @property
    def observers(self) -> "Sequence[Observer]":
        """Who is told of every attempt and every answer."""
        return self._observers

    # --- looking in -------------------------------------------------------------------------

    def observe(self, observer: "Observer") -> None:
        """Tell *observer* of every attempt and every answer from now on."""
        self._observers.append(observer)

    def secrets_needed_at(self) -> dict[str, float | None]:
        """
        Return when each secret was last needed in this process, in Unix seconds, by label.

        A secret is needed where none before it in the list signed the request too: put the
        newest first, and an old one that shows None for a day can go.
        """
        return self._keyring.needed_at()

    def forget_recent(self) -> None:
        """Forget which events have come, as a new process would: for tests."""
        if self._recent is not None:
            self._recent.clear()

    @property
    def keyring(self) -> Keyring:
        """The secrets; empty where a callable finds them."""
        return self._keyring

    # --- the path of a request ----------------------------------------------------------------

    def answer(self, request: Incoming, runner: Runner) -> "Result | Waiting":
        """Do what `receive` does, by *runner*: for the faces."""
        started = self._clock.monotonic()
        if not self._is_judged_at_once:
            return runner.run(self._answer_later(request, runner, started))
        try:
            verdict = judge(
                request,
                self.provider,
                self._keyring,
                self._clock.wall(),
                self.tolerance,
                self.body_bytes_max,
            )
            return self._act_on(verdict, request, runner, started)
        except Exception as error:  # a provider of the user's
            return self._failed(error, started)

    async def _answer_later(self, request: Incoming, runner: Runner, started: float) -> Result:
        """Answer a request that can be judged only after something of the user's was asked."""
        try:
            verdict = await self._ask_and_judge(request, runner)
            result = self._act_on(verdict, request, runner, started)
            return await result if isinstance(result, Waiting) else result
        except Exception as error:
            return self._failed(error, started)

    async def _ask_and_judge(self, request: Incoming, runner: Runner) -> Event[Any] | Rejected:
        """Judge a request by the secrets that the user's callable finds for it."""
        found: Any = ()
        if request.method == "POST" and self._lookup is not None:
            found = runner.call(self._lookup, request, self._lookup_is_async)
            if isinstance(found, Waiting):
                found = await found
        keyring = Keyring(found or (), self.provider)
        now = self._clock.wall()
        return judge(request, self.provider, keyring, now, self.tolerance, self.body_bytes_max)

    def _act_on(
        self,
        verdict: Event[Any] | Rejected,
        request: Incoming | None,
        runner: Runner,
        started: float,
    ) -> "Result | Waiting":
        if isinstance(verdict, Rejected):
            return self._refused(verdict, started)
        greeting = self.provider.greeting(verdict)
        if greeting is not None:
            return self._told(reply_result(verdict, greeting), verdict, started)
        if self._livemode is not None and verdict.livemode is not self._livemode:
            return self._told(_IGNORED, verdict, started)
        answer: list[Result] = []
        if self._filters or self._included:
            work = self._filter_and_run(verdict, request, runner, started, answer)
        elif (queued := self._for_inbox(verdict)) is not None:
            return self._hand_over(verdict, queued, verdict, request, runner, started)
        else:
            claim = self._claim(verdict, started)
            if isinstance(claim, Result):
                return self._told(claim, verdict, started)
            work = run_handlers(verdict, claim, self._recent, runner, self._observers, answer)
            if self._observers:
                work = self._and_tell(work, verdict, started, answer)
        waiting = runner.run_unbroken(work)
        return answer[0] if waiting is None else Waiting(_filled(answer, waiting))

    async def _filter_and_run(
        self,
        verdict: Event[Any],
        request: Incoming | None,
        runner: Runner,
        started: float,
        answer: list[Result],
    ) -> None:
        event = verdict
        try:
            for function, is_coroutine in self.filters():
                kept = runner.call(function, event, is_coroutine)
                if isinstance(kept, Waiting):
                    kept = await kept
                if kept is None:
                    answer.append(self._told(_IGNORED, event, started))
                    return
                event = as_event(kept)
            queued = self._for_inbox(event)
            if queued is not None:
                handed = self._hand_over(event, queued, verdict, request, runner, started)
                answer.append(await handed if isinstance(handed, Waiting) else handed)
                return
        except Exception as error:
            answer.append(self._failed(error, started))
            return
        claim = self._claim(event, started)
        if isinstance(claim, Result):
            answer.append(self._told(claim, event, started))
        else:
            await run_handlers(event, claim, self._recent, runner, self._observers, answer)
            self._told(answer[0], event, started)

    def _for_inbox(self, event: Event[Any]) -> tuple[Handler, ...] | None:
        """Return the handlers *event* is kept for; None where it is to be handled at once."""
        if (self._inbox is None and self._inbox_at is None) or event.type in SYNCHRONOUS_SECONDS:
            return None
        handlers = self.router.handlers_for(event.type)
        # Those with a default answer come first: their sender waits for it.
        return None if handlers and handlers[0].default is not None else handlers

    def _hand_over(
        self,
        event: Event[Any],
        handlers: tuple[Handler, ...],
        sent: Event[Any],
        request: Incoming | None,
        runner: Runner,
        started: float,
    ) -> "Result | Waiting":
        """Give *event*, which the filters made of *sent*, to the inbox."""
        inbox = self.inbox
        if not handlers or inbox is None:
            return self._told(_IGNORED, event, started)
        answer = inbox.accept(self, event, request, handlers, runner, is_changed=event is not sent)
        if isinstance(answer, Waiting):
            return Waiting(self._handed_over(answer, event, started))
        return self._accepted(answer, event, started)

    async def _handed_over(self, waiting: Waiting, event: Event[Any], started: float) -> Result:
        return self._accepted(await waiting, event, started)

    def _accepted(self, answer: Result | Rejected, event: Event[Any], started: float) -> Result:
        if isinstance(answer, Rejected):
            return self._refused(answer, started)
        return self._told(answer, event, started)

    def _claim(self, event: Event[Any], now: float) -> Claim | Result:
        """Claim *event* for its handlers, or return an answer that needs none of them."""
        handlers = self.router.handlers_for(event.type)
        if not handlers:
            return _IGNORED
        # The dashboard's test button sends every event under one id: each is a first one.
        if self._recent is None or event.id == PLACEHOLDER_ID:
            return Claim(handlers)
        claim = self._recent.claim(event.key, handlers, now)
        if claim is None:
            return _BUSY
        if claim.handlers:
            return claim
        return _DUPLICATE if claim.reply is None else reply_result(event, claim.reply)

    async def _and_tell(
        self,
        running: Coroutine[Any, Any, None],
        event: Event[Any],
        started: float,
        answer: list[Result],
    ) -> None:
        await running
        self._told(answer[0], event, started)

    def _told(self, result: Result, event: Event[Any], started: float) -> Result:
        if self._observers:
            self._observe(result, started, event=event)
        return result

    def _failed(self, error: Exception, started: float) -> Result:
        logger().error("webhook failed before its handlers", exc_info=error)
        why = "a secrets lookup or a filter raised"
        return self._refused(Rejected(500, "failed", "failed", why), started)

    def _refused(self, rejected: Rejected, started: float) -> Result:
        self._refusals.tell(rejected, self._clock.monotonic())
        result = rejected.result()
        if self._observers:
            self._observe(result, started, reason=rejected.reason)
        return result

    def _observe(
        self,
        result: Result,
        started: float,
        *,
        event: Event[Any] | None = None,
        reason: str | None = None,
    ) -> None:
        from .observer import Answered

        seconds = self._clock.monotonic() - started
        answered = Answered(
            result, provider=self.provider.name, event=event, reason=reason, seconds=seconds
        )
        for observer in self._observers:
            try:
                observer.answered(answered)
            except Exception as error:
                # A metric must never cost an event.
                logger().error("an observer raised", exc_info=error)


async def _filled(answer: list[Result], waiting: Waiting) -> Result:
    await waiting
    return answer[0]


def _checked_body(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, (bytearray, memoryview)):
        return bytes(body)
    raise ConfigError(
        f"receive() takes the raw bytes of the body and was given a {type(body).__name__}: text "
        "or parsed JSON is no longer what was signed"
    )
