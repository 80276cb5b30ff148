"""
A Stripe of your own inside a test: real objects, real events, delivered to your application.

    def test_a_refund_is_booked(stripe_sandbox):
        stripe_sandbox.connect(app, secret="whsec_test")
        payment = stripe_sandbox.client.v1.payment_intents.create({...})
        stripe_sandbox.client.v1.refunds.create({"payment_intent": payment.id})

        for delivered in stripe_sandbox.deliver():
            assert delivered.answer.status == 200

Nothing is delivered until the test says so, and then by the test's own thread: database
connections, transactions and context variables are those of the test.
"""

import asyncio
import contextlib
import itertools
import json
import queue
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hookloop.errors import ConfigError

from .answer import Answer
from .sending import PATH, asend, send
from .signed_request import SignedRequest

if TYPE_CHECKING:
    import stripe

    from hookloop.sandbox import Sandbox
    from hookloop.sandbox.client import Reply, Transport

__all__ = ["Delivered", "SandboxServer", "StripeSandbox", "running_server"]

START_SECONDS = 30.0
"""For a sandbox to listen; it takes a fraction of a second, but for a machine that is busy."""

APP_HOST = "app.hookloop.test"
"""No real host: what stands for applications that are called in this process."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One attempt to deliver one event to an application."""

    event: dict[str, Any] = field(repr=False)
    answer: Answer
    type: str = ""

    @property
    def object(self) -> Any:
        """What the event is about, as it was sent."""
        return self.event["data"]["object"]


class _Post:
    """A delivery that waits for the test to make it."""

    def __init__(
        self, account: "StripeSandbox", app: Any, path: str, request: SignedRequest
    ) -> None:
        self.app = app
        self.path = path
        self.request = request
        self.reply: Future[Answer] = Future()
        self._account = account

    def done(self, answer: Answer) -> None:
        event = json.loads(self.request.body)
        self._account.delivered.append(Delivered(event, answer, event["type"]))
        self.reply.set_result(answer)


class _Transport:
    """Lets applications of this process be called by their tests, and posts to all other URLs."""

    def __init__(self, others: "Transport") -> None:
        self.apps: dict[str, tuple[StripeSandbox, Any]] = {}
        self.posts: queue.SimpleQueue[_Post | None] = queue.SimpleQueue()
        self._others = others
        self._numbers = itertools.count(1)

    def url_of(self, account: "StripeSandbox", app: Any, path: str) -> str:
        """Return a URL that *app* of *account* is called by."""
        url = f"http://{APP_HOST}/{next(self._numbers)}{path}"
        self.apps[url] = (account, app)
        return url

    async def post(self, url: str, headers: Mapping[str, str], payload: bytes) -> "Reply":
        from hookloop.sandbox.client import Reply

        parts = urlsplit(url)
        if parts.hostname != APP_HOST:
            return await self._others.post(url, headers, payload)
        if url not in self.apps:
            return Reply(None, "the test that had this application has ended")
        account, app = self.apps[url]
        _, _, path = parts.path[1:].partition("/")
        length = ("Content-Length", str(len(payload)))
        post = _Post(account, app, f"/{path}", SignedRequest(payload, [*headers.items(), length]))
        self.posts.put(post)
        answer = await asyncio.wrap_future(post.reply)
        error = f"{type(answer.error).__name__}: {answer.error}" if answer.error else ""
        return Reply(answer.status, excerpt=error or answer.body[:500].decode("utf-8", "replace"))


class SandboxServer:
    """
    A sandbox that runs in a thread of its own; `running_server` makes it.

    Its accounts are for tests that run one after the other: whichever delivers, delivers for all.
    """

    def __init__(
        self, sandbox: "Sandbox", transport: _Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.sandbox = sandbox
        self.transport = transport
        self._loop = loop
        self._made = 0

    def account(self) -> "StripeSandbox":
        """Return an account of its own: empty, and seen by nobody else."""
        self._made += 1
        return StripeSandbox(self, f"sk_test_case{self._made}")

    def submit(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        """Let the sandbox's own loop do *work*."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)


class StripeSandbox:
    """One account of a sandbox, for one test."""

    def __init__(self, server: SandboxServer, api_key: str) -> None:
        self.api_key = api_key
        """The key whose account it is; for clients of your own."""
        self.url = server.sandbox.url
        """The base address of the API."""
        self.delivered: list[Delivered] = []
        """What no `deliver` has returned yet."""
        self._server = server
        self._client: stripe.StripeClient | None = None

    @property
    def client(self) -> "stripe.StripeClient":
        """The official client, pointed at this account."""
        if self._client is None:
            import stripe

            self._client = stripe.StripeClient(self.api_key, base_addresses={"api": self.url})
        return self._client

    def connect(
        self,
        app: Any,
        *,
        path: str = PATH,
        secret: str | None = None,
        events: tuple[str, ...] = ("*",),
        api_version: str | None = None,
    ) -> "stripe.WebhookEndpoint":
        """
        Let *app* receive *events*, and return the endpoint; its ``secret`` is what signs them.

        *app*: what `hookloop.testing.send` takes: ASGI, WSGI, a Django test client, `Hooks`, or a
        URL. *secret*: the one the application is configured with; by default a new one.
        """
        params: dict[str, Any] = {"url": app, "enabled_events": [*events]}
        if not isinstance(app, str):
            params["url"] = self._server.transport.url_of(self, app, path)
        if api_version is not None:
            params["api_version"] = api_version
        endpoint = self.client.v1.webhook_endpoints.create(params)  # type: ignore[arg-type] # made
        if secret is not None:
            self._server.submit(self._set_secret(endpoint.id, secret)).result()
            endpoint.secret = secret
        return endpoint

    def deliver(self) -> list[Delivered]:
        """
        Deliver what is due, in this thread, and return it in the order it was sent.

        What the application answers with other than 2xx is due again later: `advance`.
        """
        return self._pump(self._server.submit(self._server.sandbox.wait_idle()))

    def advance(self, seconds: float) -> list[Delivered]:
        """
        Put the clock of the sandbox forward, and return what was delivered on the way.

        The clock is that of all accounts of the sandbox: with pytest-xdist each worker has its
        own.
        """
        return self._pump(self._server.submit(self._server.sandbox.advance(seconds)))

    async def adeliver(self) -> list[Delivered]:
        """Do what `deliver` does, on the running loop."""
        return await self._apump(self._server.submit(self._server.sandbox.wait_idle()))

    async def aadvance(self, seconds: float) -> list[Delivered]:
        """Do what `advance` does, on the running loop."""
        return await self._apump(self._server.submit(self._server.sandbox.advance(seconds)))

    def close(self) -> None:
        """Forget the applications; what is still owed to them fails."""
        transport = self._server.transport
        for url in [url for url, (account, _) in transport.apps.items() if account is self]:
            del transport.apps[url]
        with contextlib.suppress(queue.Empty):
            while True:
                if (post := transport.posts.get_nowait()) is not None:
                    post.done(Answer(410, [], b"the test has ended"))

    async def _set_secret(self, endpoint_id: str, secret: str) -> None:
        self._server.sandbox.set_secret(self.api_key, endpoint_id, secret)

    def _pump(self, until: "Future[Any]") -> list[Delivered]:
        for post in self._coming(until):
            try:
                answer = send(post.app, post.request, path=post.path)
            except OSError as error:
                answer = Answer(502, [], b"", error=error)
            post.done(answer)
        until.result()
        return self._taken()

    async def _apump(self, until: "Future[Any]") -> list[Delivered]:
        coming = self._coming(until)
        while (post := await asyncio.to_thread(next, coming, None)) is not None:
            try:
                answer = await asend(post.app, post.request, path=post.path)
            except OSError as error:
                answer = Answer(502, [], b"", error=error)
            post.done(answer)
        until.result()
        return self._taken()

    def _coming(self, until: "Future[Any]") -> Iterator[_Post]:
        """Yield what is to be delivered, as long as *until* is not done."""
        posts = self._server.transport.posts
        until.add_done_callback(lambda _: posts.put(None))
        while (post := posts.get()) is not None:
            yield post

    def _taken(self) -> list[Delivered]:
        taken, self.delivered = self.delivered, []
        return taken


@contextmanager
def running_server(**settings: Any) -> Iterator[SandboxServer]:
    """
    Run a sandbox in a thread until the block ends.

    *settings*: those of `hookloop.sandbox.SandboxConfig`, such as ``chaos``. Raises `ConfigError`
    where the parts that a sandbox needs are not installed.
    """
    started: Future[SandboxServer] = Future()
    ended: Future[None] = Future()
    thread = threading.Thread(
        target=_run, args=(started, ended, settings), name="hookloop-sandbox", daemon=True
    )
    thread.start()
    try:
        yield started.result(START_SECONDS)
    finally:
        ended.set_result(None)
        thread.join(START_SECONDS)


def _run(
    started: "Future[SandboxServer]", ended: "Future[None]", settings: Mapping[str, Any]
) -> None:
    try:
        asyncio.run(_serve(started, ended, settings))
    except BaseException as error:
        if not started.done():
            started.set_exception(error)
            return
        raise


async def _serve(
    started: "Future[SandboxServer]", ended: "Future[None]", settings: Mapping[str, Any]
) -> None:
    async with _sandbox(settings) as (sandbox, transport):
        started.set_result(SandboxServer(sandbox, transport, asyncio.get_running_loop()))
        await asyncio.wrap_future(ended)


@asynccontextmanager
async def _sandbox(settings: Mapping[str, Any]) -> AsyncIterator[tuple["Sandbox", _Transport]]:
    try:
        from hookloop.sandbox import SandboxConfig, running_sandbox
        from hookloop.sandbox.client import AiohttpTransport
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the sandbox needs {error.name}, which is not installed: "
            "pip install 'hookloop[standard]'"
        ) from None
    config = replace(SandboxConfig(port=0), **settings)
    async with AiohttpTransport(timeout_seconds=config.attempt_timeout_seconds) as others:
        transport = _Transport(others)
        async with running_sandbox(config, transport=transport) as sandbox:
            yield sandbox, transport
