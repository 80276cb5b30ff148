"""`stripe_sandbox`: a Stripe inside a test, whose events the test delivers to its application."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
import stripe
from aiohttp import web

from hookloop import Hooks
from hookloop.errors import ConfigError
from hookloop.testing.stripe_sandbox import SandboxServer, StripeSandbox, running_server

pytestmark = pytest.mark.filterwarnings("error")

PAYMENT = {
    "amount": 2000,
    "currency": "usd",
    "confirm": True,
    "payment_method": "pm_card_visa",
    "payment_method_types": ["card"],
}
SECRET = "whsec_of_the_app"


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with running_server() as server:
        yield server


@pytest.fixture
def sandbox(server: SandboxServer) -> Iterator[StripeSandbox]:
    account = server.account()
    yield account
    account.close()


def listening(seen: list, *, failing: int = 0) -> Hooks:
    """Return hooks that keep what they are told, after failing so many times."""
    hooks = Hooks(secrets=SECRET)
    failures = iter(range(failing))

    @hooks.on_any
    def keep(event):
        if next(failures, None) is not None:
            raise RuntimeError("not now")
        seen.append((event.type, threading.current_thread()))

    return hooks


@pytest.mark.parametrize("face", ["asgi", "wsgi", "itself"])
def test_a_payments_events_reach_the_application(sandbox, face):
    """Signed with its secret, in their order, in the thread of the test where there is a choice."""
    seen = []
    hooks = listening(seen)
    app = hooks if face == "itself" else getattr(hooks, face)
    sandbox.connect(app, secret=SECRET)
    sandbox.client.v1.payment_intents.create(PAYMENT)
    assert seen == []

    delivered = sandbox.deliver()

    types = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
    assert [one.type for one in delivered] == types
    assert [type_ for type_, _ in seen] == types
    assert [one.answer.status for one in delivered] == [200] * 3
    assert delivered[2].object["amount"] == 2000
    if face == "itself":
        assert {thread for _, thread in seen} == {threading.current_thread()}


def test_the_endpoint_tells_its_secret(sandbox):
    """For who configures the application with it."""
    endpoint = sandbox.connect(lambda scope, receive, send: None)

    assert endpoint.secret.startswith("whsec_")
    assert sandbox.client.v1.webhook_endpoints.list().data[0].id == endpoint.id


def test_what_failed_comes_again_when_time_is_put_forward(sandbox):
    """The first answer is a 500 with the exception; five minutes later all is well."""
    seen = []
    sandbox.connect(listening(seen, failing=1).wsgi, secret=SECRET, events=("customer.created",))
    sandbox.client.v1.customers.create()

    [failed] = sandbox.deliver()
    nothing = sandbox.advance(299)
    [again] = sandbox.advance(10)

    assert (failed.answer.status, again.answer.status) == (500, 200)
    assert nothing == []
    assert failed.event["id"] == again.event["id"]
    assert len(seen) == 1


def test_accounts_see_nothing_of_each_other(server):
    """Each test's events go to its own application."""
    one, other = server.account(), server.account()
    for account in (one, other):
        account.connect(listening([]), secret=SECRET)
    one.client.v1.customers.create({"name": "Ada"})

    assert other.deliver() == []
    assert [delivered.object["name"] for delivered in one.deliver()] == ["Ada"]
    assert other.client.v1.customers.list().data == []


def test_a_test_that_is_async_delivers_on_its_loop(sandbox):
    seen = []
    sandbox.connect(listening(seen).asgi, secret=SECRET)

    async def main():
        await asyncio.to_thread(sandbox.client.v1.customers.create)
        first = await sandbox.adeliver()
        await asyncio.to_thread(sandbox.client.v1.customers.create)
        return first, await sandbox.aadvance(60)

    first, second = asyncio.run(main())

    assert [len(first), len(second), len(seen)] == [1, 1, 2]


def test_a_url_is_posted_to(sandbox):
    """By the sandbox itself, over a connection: there is nothing for the test to deliver."""
    seen = []

    async def main():
        async def take(request: web.Request) -> web.Response:
            seen.append(await request.json())
            return web.Response()

        app = web.Application()
        app.router.add_post("/hook", take)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        await asyncio.to_thread(sandbox.connect, url)
        await asyncio.to_thread(sandbox.client.v1.customers.create)
        delivered = await sandbox.adeliver()
        await runner.cleanup()
        return delivered

    assert asyncio.run(main()) == []
    assert [event["type"] for event in seen] == ["customer.created"]


def test_what_the_official_package_says_of_it(sandbox):
    """`stripe.Webhook` is the judge, not our own library."""
    seen = []

    def app(environ, start_response):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        seen.append(stripe.Webhook.construct_event(body, environ["HTTP_STRIPE_SIGNATURE"], SECRET))
        start_response("204 No Content", [])
        return []

    sandbox.connect(app, path="/hook", secret=SECRET)
    sandbox.client.v1.customers.create({"email": "ada@example.com"})
    [delivered] = sandbox.deliver()

    assert delivered.answer.status == 204
    assert seen[0].data.object["email"] == "ada@example.com"


def test_what_a_test_leaves_undelivered_holds_up_no_other(server):
    """It fails, where its application is gone."""
    left = server.account()
    left.connect(listening([]).asgi, secret=SECRET)
    left.client.v1.customers.create()
    left.close()

    account = server.account()
    account.connect(listening([]).asgi, secret=SECRET)
    account.client.v1.customers.create()
    assert len(account.advance(3 * 86_400)) == 1
    account.close()


def test_settings_that_make_no_sandbox_are_told():
    with pytest.raises(ConfigError, match="rate_limit"), running_server(rate_limit=0):
        pass
