"""`send` reaches an application by the bytes it gets in production."""

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from wsgiref.validate import validator

import flask
import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route

from hookloop import ConfigError, Hooks
from hookloop.testing import SECRET, Answer, SignedRequest, asend, make, send, sign

EVENT = make("customer.updated", id="evt_1")


@pytest.fixture
def hooks() -> Hooks:
    known = Hooks(secrets=SECRET)
    known.on("customer.updated")(lambda event: None)
    return known


def hooks_alone(hooks: Hooks):
    return hooks


def bare_asgi(hooks: Hooks):
    return hooks.asgi


def bare_wsgi(hooks: Hooks):
    return hooks.wsgi


def fastapi_app(hooks: Hooks):
    app = FastAPI()
    app.include_router(hooks.fastapi_router(), prefix="/webhooks/stripe")
    return app


def flask_app(hooks: Hooks):
    app = flask.Flask("tests")
    app.register_blueprint(hooks.flask_blueprint(), url_prefix="/webhooks/stripe")
    return app


APPS = [hooks_alone, bare_asgi, bare_wsgi, fastapi_app, flask_app]


@pytest.mark.parametrize("app", APPS)
def test_a_signed_event_is_handled(app, hooks: Hooks):
    """Verified over the very bytes, whatever the framework."""
    answer = send(app(hooks), EVENT)

    assert (answer.status, answer.outcome, answer.error) == (200, "handled", None)


@pytest.mark.parametrize("app", APPS)
def test_a_signed_event_is_handled_on_a_running_loop(app, hooks: Hooks):
    """The same from an async test."""
    answer = asyncio.run(asend(app(hooks), EVENT))

    assert (answer.status, answer.outcome) == (200, "handled")


@pytest.mark.parametrize("app", APPS)
def test_another_secret_is_refused(app, hooks: Hooks):
    """Nothing on the way verifies on the test's behalf."""
    assert send(app(hooks), EVENT, secret="whsec_other").status == 400


@pytest.mark.parametrize("app", APPS)
def test_a_tampered_request_is_sent_as_it_is(app, hooks: Hooks):
    """What is signed already is not signed again."""
    request = sign(EVENT)
    request.body = request.body.replace(b"evt_1", b"evt_2")

    assert send(app(hooks), request).status == 400


@pytest.mark.parametrize("app", [fastapi_app, flask_app])
def test_the_path_is_the_apps(app, hooks: Hooks):
    """A wrong URL is found by the test, and not by Stripe."""
    assert send(app(hooks), EVENT, path="/webhooks/other").status == 404


# --- ASGI -------------------------------------------------------------------------------------


def test_a_body_comes_in_pieces():
    """As from a real server: an app that reads one message loses the rest."""
    pieces = []

    async def app(scope, receive, send):
        more = True
        while more:
            message = await receive()
            pieces.append(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    request = SignedRequest(b"0123456789", [])
    assert send(app, request).status == 204
    assert pieces == [b"0", b"1234", b"56789"]


@pytest.mark.parametrize("body", [b"", b"0", b"01", b"012"])
def test_a_short_body_arrives_whole(body: bytes):
    """Also one that is too short to be cut."""

    async def endpoint(request: StarletteRequest):
        return PlainTextResponse(await request.body())

    app = Starlette(routes=[Route("/webhooks/stripe", endpoint, methods=["POST"])])

    assert send(app, SignedRequest(body, [])).body == body


def test_the_path_may_hold_a_query_and_escapes():
    """Both are taken apart as a server does."""

    async def endpoint(request: StarletteRequest):
        return PlainTextResponse(request.path_params["tenant"] + request.query_params["v"])

    app = Starlette(routes=[Route("/hooks/{tenant}", endpoint, methods=["POST"])])

    assert send(app, EVENT, path="/hooks/zo%C3%AB?v=2").body == "zoë2".encode()


def test_the_caller_stays_until_the_answer_is_whole():
    """An app that watches for a hang-up sees it after its answer, and not before."""
    seen = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})
        seen.append(await receive())

    assert send(app, SignedRequest(b"x", [])).body == b"ab"
    assert seen == [{"type": "http.disconnect"}]


def test_an_asgi_app_is_known_by_its_signature_too():
    """A plain function that returns a coroutine is one as well."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body"})

    def plain(scope, receive, send):
        return app(scope, receive, send)

    assert send(plain, EVENT).status == 202


def test_an_app_that_never_answers_is_given_up():
    """A test that hangs tells nobody why."""

    async def app(scope, receive, send):
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match="had not answered after"):
        send(app, EVENT, wait_seconds=0.01)


def test_a_timeout_of_the_apps_own_is_its_own():
    """A database that gave up is a 500, and not an app that never answers."""

    async def app(scope, receive, send):
        raise TimeoutError("database")

    answer = send(app, EVENT)

    assert (answer.status, str(answer.error)) == (500, "database")


def test_an_app_that_ends_without_an_answer_is_a_500():
    """As a server makes it."""

    async def app(scope, receive, send):
        pass

    assert send(app, EVENT).status == 500


# --- WSGI -------------------------------------------------------------------------------------


def test_the_environ_and_the_calls_are_wsgi():
    """The standard library's validator stands between."""

    def app(environ, start_response):
        size = int(environ["CONTENT_LENGTH"])
        body = environ["wsgi.input"].read(size)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body, environ["PATH_INFO"].encode(), environ["HTTP_STRIPE_SIGNATURE"][:2].encode()]

    answer = send(validator(app), sign(b"body"), path="/x")

    assert answer.body == b"body/xt="


def test_the_write_callable_of_old_is_there():
    """PEP 3333 still demands it."""

    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"a")
        return [b"b"]

    assert send(app, EVENT).body == b"ab"


def test_a_header_that_comes_twice_is_joined():
    """As servers do before an app sees it."""

    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["HTTP_STRIPE_SIGNATURE"].encode()]

    request = SignedRequest(b"", [("Stripe-Signature", "t=1"), ("stripe-signature", "v1=2")])

    assert send(app, request).body == b"t=1,v1=2"


# --- what goes wrong ----------------------------------------------------------------------------


def failing_asgi():
    app = FastAPI()

    @app.post("/webhooks/stripe")
    async def endpoint(request: Request):
        raise KeyError("customer")

    return app


def failing_wsgi():
    def app(environ, start_response):
        raise KeyError("customer")

    return app


@pytest.mark.parametrize("app", [failing_asgi, failing_wsgi])
def test_what_the_app_raises_is_a_500_with_the_reason(app):
    """Stripe sees the status; the test sees the exception."""
    answer = send(app(), EVENT)

    assert answer.status == 500
    assert isinstance(answer.error, KeyError)


def test_a_redirect_is_not_followed():
    """Stripe counts it as a failure, and so must the test."""

    async def endpoint(request: StarletteRequest):
        return RedirectResponse("/webhooks/stripe/")

    app = Starlette(routes=[Route("/webhooks/stripe", endpoint, methods=["POST"])])

    assert send(app, EVENT).status == 307


def test_send_on_a_running_loop_names_asend(hooks: Hooks):
    """Not a RuntimeError and a coroutine nobody awaited."""

    async def test() -> None:
        send(hooks.asgi, EVENT)

    with pytest.raises(ConfigError, match="await asend"):
        asyncio.run(test())


@pytest.mark.parametrize("app", [None, 3, {}])
def test_what_is_no_application_is_a_mistake(app):
    """A fixture that returned nothing, most likely."""
    with pytest.raises(ConfigError, match="no application"):
        send(app, EVENT)


# --- URLs -------------------------------------------------------------------------------------


class Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = {"path": self.path, "type": json.loads(body)["type"]}
        told["signature"] = self.headers["Stripe-Signature"][:2]
        self.send_response(201)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, *args) -> None:
        """Be quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("own", "path", "expected"),
    [
        ("", None, "/webhooks/stripe"),
        ("/mine?v=2", None, "/mine?v=2"),
        ("/mine", "/other", "/other"),
    ],
)
def test_a_url_is_posted_to(url: str, own: str, path: str | None, expected: str):
    """For an app that runs as a process of its own."""
    answer = send(url + own, EVENT, path=path)

    assert answer.status == 201
    assert answer.json == {"path": expected, "type": "customer.updated", "signature": "t="}


def test_a_url_is_posted_to_from_a_loop(url: str):
    """In a thread: the loop runs on."""
    answer: Answer = asyncio.run(asend(url, EVENT))

    assert answer.status == 201


@pytest.mark.parametrize("url", ["localhost:3000", "ftp://example.com", "http://"])
def test_a_text_that_is_no_url_is_a_mistake(url: str):
    """The scheme is easily forgotten."""
    with pytest.raises(ConfigError, match="is no http:// or https:// URL"):
        send(url, EVENT)
