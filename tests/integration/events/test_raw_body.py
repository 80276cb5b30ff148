"""Middleware that looks at the body before us: harmless, or told as trouble on our side."""

import logging

import flask
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from faces import PATH, HashableNamespace
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Route

from hookloop import Hooks
from hookloop.testing import make, send, sign

SECRET = "whsec_x"


@pytest.fixture
def hooks() -> Hooks:
    hooks = Hooks(SECRET)
    hooks.on_any(lambda event: None)
    return hooks


def outcome(app, *, content_type: str = "application/json") -> str | None:
    request = sign(make("invoice.paid"), SECRET)
    request.headers = [
        (name, content_type if name == "Content-Type" else value) for name, value in request.headers
    ]
    return send(app, request, path=PATH).outcome


# --- Starlette and FastAPI ----------------------------------------------------------------------


class ReadsStream(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        async for _ in request.stream():
            pass
        return await call_next(request)


class ReadsBody(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        await request.body()
        return await call_next(request)


def starlette(hooks, middleware):
    return Starlette(routes=[Route(PATH, hooks.asgi)], middleware=[Middleware(middleware)])


def fastapi(hooks, middleware):
    app = FastAPI(middleware=[Middleware(middleware)])
    app.include_router(hooks.fastapi_router(), prefix=PATH)
    return app


@pytest.mark.parametrize("framework", [starlette, fastapi])
@pytest.mark.parametrize(
    ("middleware", "expected"), [(ReadsBody, "handled"), (ReadsStream, "raw_body_unavailable")]
)
def test_a_starlette_middleware(hooks, framework, middleware, expected, caplog):
    """request.body() is kept for us; request.stream() is gone, silently."""
    assert outcome(framework(hooks, middleware)) == expected
    if expected != "handled":
        assert "request.body() there instead" in caplog.text


# --- Flask --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("look", "content_type", "expected"),
    [
        (lambda: [flask.request.get_json()], "application/json", "handled"),
        (lambda: [flask.request.get_data()], "application/json", "handled"),
        (lambda: [flask.request.stream.read()], "application/json", "raw_body_unavailable"),
        (
            lambda: flask.request.form,
            "application/x-www-form-urlencoded",
            "raw_body_unavailable",
        ),
    ],
    ids=["get_json", "get_data", "stream", "form"],
)
def test_a_flask_before_request(hooks, look, content_type, expected, caplog):
    """Whatever caches is harmless."""
    app = flask.Flask("raw")
    app.register_blueprint(hooks.flask_blueprint(), url_prefix=PATH)

    @app.before_request
    def before() -> None:
        look()

    assert outcome(app, content_type=content_type) == expected
    if expected != "handled":
        assert "get_data(cache=True)" in caplog.text


# --- Django -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("look", "content_type", "expected"),
    [
        (lambda request: request.body, "application/json", "handled"),
        (lambda request: request.POST, "application/json", "handled"),
        (lambda request: request.read(), "application/json", "raw_body_unavailable"),
    ],
    ids=["body", "POST of JSON", "read"],
)
def test_a_django_middleware(hooks, look, content_type, expected, caplog, monkeypatch):
    """request.body is kept; request.read() is gone, and Django says so by an exception."""
    import django_raw_middleware

    monkeypatch.setattr(django_raw_middleware, "look", look)
    logging.getLogger("django").setLevel(logging.CRITICAL)
    urlconf = HashableNamespace(urlpatterns=hooks.django_urls(PATH))

    def app(environ, start_response):
        with override_settings(
            ROOT_URLCONF=urlconf, MIDDLEWARE=["django_raw_middleware.middleware"]
        ):
            return WSGIHandler()(environ, start_response)

    assert outcome(app, content_type=content_type) == expected
    if expected != "handled":
        assert "request.body" in caplog.text


# --- WSGI ---------------------------------------------------------------------------------------


def test_a_wsgi_middleware_that_reads_the_input(hooks, caplog):
    """Nothing is left in wsgi.input."""

    def app(environ, start_response):
        environ["wsgi.input"].read()
        return hooks.wsgi(environ, start_response)

    assert outcome(app) == "raw_body_unavailable"
    assert "wsgi.input was read" in caplog.text
