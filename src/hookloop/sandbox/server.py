"""The sandbox on a socket: bytes in, `Api.answer`, bytes out, deliveries handed to the worker."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from random import SystemRandom

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from hookloop.clock import Clock, SystemClock
from hookloop.errors import ConfigError
from hookloop.inner_server import InnerServer
from hookloop.shapes.sample import SampleRandom
from hookloop.version import __version__

from .address import base_address, bound_socket, unix_socket
from .api import Api, ApiAnswer, ApiRequest
from .authentication import AccountKey, authenticate
from .catalogue import installed_catalogue
from .client import AiohttpTransport, Transport
from .clock_routes import ClockRoutes
from .config import SandboxConfig
from .errors import ApiError
from .memory import MemoryAccounts
from .moving_clock import MovingClock
from .observer import DeliveryObserver, RequestAnswered, RequestObserver, nobody
from .page_server import PageServer
from .rate_limit import RateLimit
from .store import Changes, Json
from .stripe_cli import CliSessions
from .stripe_cli_routes import StripeCliRoutes
from .time_machine import TimeMachine
from .timekeeper import Timekeeper
from .transaction import ENDPOINT_KIND
from .worker import DeliveryRules, DeliveryWorker, WorkerStatistics

__all__ = ["BODY_BYTES_MAX", "Sandbox", "SandboxStatistics", "running_sandbox"]

BODY_BYTES_MAX = 1024 * 1024  # All of Stripe's text limits in one request are a tenth of it.

SHUTDOWN_SECONDS = 0.5  # For a client that is still sending; answers take under a millisecond.

_log = logging.getLogger("hookloop.sandbox")


@dataclass(frozen=True, slots=True)
class SandboxStatistics:
    """What a sandbox has seen and done."""

    requests: int
    accounts: int
    deliveries: WorkerStatistics


class Sandbox:
    """A running sandbox; made by `running_sandbox`."""

    def __init__(
        self,
        address: str,
        app: "ApiApp",
        worker: DeliveryWorker,
        timekeeper: Timekeeper,
        time_machine: TimeMachine,
    ) -> None:
        self.url = address
        """The base address for Stripe's clients, without a slash at its end."""
        self._app = app
        self._worker = worker
        self._timekeeper = timekeeper
        self._time_machine = time_machine

    def statistics(self) -> SandboxStatistics:
        """Return counts as of now."""
        return SandboxStatistics(
            self._app.requests, len(self._app.accounts), self._worker.statistics()
        )

    def wake(self) -> None:
        """Look at the clock again: to be called by whoever moves it, after moving it."""
        self._timekeeper.wake()
        self._worker.wake()

    async def advance(self, seconds: float) -> None:
        """
        Put the sandbox's clock forward by *seconds*; all that falls due happens, in order.

        Returns when nothing is due any more and no attempt in flight. Raises `ConfigError`.
        """
        await self._time_machine.advance(seconds)

    def set_secret(self, api_key: str, endpoint_id: str, secret: str) -> None:
        """Sign what goes to an endpoint with *secret*, which a test's application knows already."""
        store = self._app.accounts.store_of(authenticate(f"Bearer {api_key}"))
        endpoint = store.find(ENDPOINT_KIND, endpoint_id)
        if endpoint is None:
            raise ConfigError(f"there is no endpoint {endpoint_id!r} in the account of the key")
        changed = {**endpoint, "secret": secret}
        store.commit(Changes([(ENDPOINT_KIND, changed)]), now=endpoint["created"])

    async def wait_idle(self) -> None:
        """Return once every delivery that is due has been attempted."""
        await self._worker.wait_idle()


@contextlib.asynccontextmanager
async def running_sandbox(
    config: SandboxConfig | None = None,
    *,
    observer: DeliveryObserver = nobody,
    requests: RequestObserver = nobody,
    clock: Clock | None = None,
    random: SampleRandom | None = None,
    transport: Transport | None = None,
) -> AsyncIterator[Sandbox]:
    """
    Run a sandbox on the current event loop until the block ends.

    *observer* is told of attempts, *requests* of requests. *clock* and *random*
    are for tests; ids and secrets are as hard to guess as *random* is. *transport*
    posts deliveries in place of a client of ours. Raises `ConfigError` where the address cannot
    be listened on.
    """
    config = config or SandboxConfig()
    real_clock = clock or SystemClock()
    clock = MovingClock(real_clock)
    random = random or SystemRandom()
    catalogue = installed_catalogue()
    failure: Exception | None = None
    with (
        bound_socket(config.host, config.port) as bound,
        unix_socket(config.unix_socket) as in_files,
    ):
        async with (
            AiohttpTransport(timeout_seconds=config.attempt_timeout_seconds) as client,
            asyncio.TaskGroup() as group,
        ):
            worker = DeliveryWorker(
                transport or client,
                clock,
                _rules(config),
                catalogue,
                observer,
                SystemRandom(),
                signing_clock=real_clock,
            )
            cli_sessions = CliSessions(random, catalogue.api_version)
            accounts = MemoryAccounts(_CliObserver(cli_sessions, real_clock))
            limit = None if config.rate_limit is None else RateLimit(config.rate_limit)
            api = Api(accounts, catalogue, random, stub=config.stub, rate_limit=limit)
            timekeeper = Timekeeper(api, worker, clock)
            app = ApiApp(api, accounts, worker, timekeeper, clock, requests, cli_sessions)
            pages = PageServer(api, accounts, worker, timekeeper, clock)
            time_machine = TimeMachine(clock, timekeeper, worker)
            cli = StripeCliRoutes(cli_sessions, accounts, real_clock, lambda: base_address(bound))
            server = _server(
                app, [*pages.routes(), *ClockRoutes(time_machine).routes(), *cli.routes()]
            )
            delivering = group.create_task(worker.run())
            keeping_time = group.create_task(timekeeper.run())
            group.create_task(server.serve(sockets=[bound, *in_files]))
            await server.listening.wait()
            try:
                yield Sandbox(base_address(bound), app, worker, timekeeper, time_machine)
            except Exception as error:
                failure = error  # raised again below, where the group cannot wrap it
            finally:
                server.should_exit = True
                time_machine.stop()
                delivering.cancel()
                keeping_time.cancel()
    if failure is not None:
        raise failure


class ApiApp:
    """The API as an ASGI application."""

    def __init__(
        self,
        api: Api,
        accounts: MemoryAccounts,
        worker: DeliveryWorker,
        timekeeper: Timekeeper,
        clock: Clock,
        observer: RequestObserver,
        cli_sessions: CliSessions,
    ) -> None:
        self.accounts = accounts
        self.requests = 0
        self._api = api
        self._worker = worker
        self._timekeeper = timekeeper
        self._clock = clock
        self._observer = observer
        self._cli_sessions = cli_sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; other scopes (WebSocket) have no endpoint here."""
        if scope["type"] != "http":
            return
        try:
            body = await _body(receive)
        except ClientDisconnect:
            return  # half a request is none
        started = self._clock.monotonic()
        path = scope["raw_path"].decode("latin-1")
        answer = self._answer(scope, path, body)
        self.requests += 1
        # Before the answer, which may not get through: what was done is owed all the same.
        # The attempts begin once this task yields, when the answer is on its way.
        if answer.store is not None and answer.owed:
            self._worker.owe(answer.store, answer.owed)
        if answer.store is not None:
            self._timekeeper.look_at(answer.store)
        await _send(send, answer)
        if answer.store is not None and self._cli_sessions.is_tailed(answer.store.account):
            log = _log_line(scope["method"], path, answer, self._clock.wall())
            self._cli_sessions.request_answered(answer.store.account, log)
        self._observer.request_answered(
            RequestAnswered(
                scope["method"],
                path,
                answer.status,
                answer.request_id,
                self._clock.monotonic() - started,
            )
        )

    def _answer(self, scope: Scope, path: str, body: bytes | None) -> ApiAnswer:
        if body is None:
            return self._api.refuse(_too_large())
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        request = ApiRequest(scope["method"], path, scope["query_string"], headers, body)
        try:
            return self._api.answer(request, now=self._clock.wall())
        except Exception:
            # A bug of ours. The client is told that, and the log has the rest.
            _log.exception("%s %s failed", request.method, path)
            return self._api.refuse(_our_fault())


class _CliObserver:
    """Lets those who listen by Stripe's command line hear of each event."""

    def __init__(self, sessions: CliSessions, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock

    def event_happened(self, account: AccountKey, event: Json) -> None:
        self._sessions.event_happened(account, event, now=self._clock.wall())


def _log_line(method: str, path: str, answer: ApiAnswer, now: float) -> Json:
    """Return a request as ``stripe logs tail`` is told of it."""
    told = json.loads(answer.body).get("error") if answer.status >= 400 else None
    names = ("type", "charge", "code", "decline_code", "message", "param")
    return {
        "created_at": int(now),
        "livemode": False,
        "method": method,
        "request_id": answer.request_id,
        "status": answer.status,
        "url": path,
        "error": {name: told.get(name, "") for name in names} if told else {},
    }


def _rules(config: SandboxConfig) -> DeliveryRules:
    return DeliveryRules(
        schedule=config.retry_schedule,
        disable_after_seconds=config.disable_after_seconds,
        endpoint_rate=config.endpoint_rate,
        shuffle=config.shuffle,
        chaos=config.chaos,
    )


def _server(app: ApiApp, routes: Iterable[BaseRoute]) -> InnerServer:
    site = Starlette(routes=[Route("/", _about), *routes, Mount("/", app=app)])
    return InnerServer(site, shutdown_seconds=SHUTDOWN_SECONDS, ws="websockets-sansio")


async def _about(_request: Request) -> JSONResponse:
    return JSONResponse({"name": "hookloop sandbox", "version": __version__})


async def _body(receive: Receive) -> bytes | None:
    """
    Return the whole body, or None where it is larger than `BODY_BYTES_MAX`.

    Raises `ClientDisconnect` where it breaks off.
    """
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_BYTES_MAX:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(send: Send, answer: ApiAnswer) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    headers.append((b"Content-Length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _too_large() -> ApiError:
    return ApiError(
        413,
        f"The request body is larger than {BODY_BYTES_MAX} bytes, which no request to this API "
        "needs to be.",
        headers=(("Stripe-Should-Retry", "false"),),
    )


def _our_fault() -> ApiError:
    return ApiError(
        500,
        "hookloop's sandbox failed on this request; that is a bug in it, and its log has the "
        "details. Nothing was changed.",
        kind="api_error",
        headers=(("Stripe-Should-Retry", "false"),),
    )
