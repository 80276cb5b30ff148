"""
What reads the body away before the handler, framework by framework, as the pages tell it.

`make oldest` runs this with the oldest frameworks too: which reads leave the bytes there is
theirs to decide, and has changed before.
"""

import subprocess
import sys
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Mount, Route

from hookloop import Hooks
from hookloop.testing import Answer, send

SECRET = "whsec_of_the_traps"
URL = "/webhooks/stripe"
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "customer.updated",
    "data": {"object": {"id": "cus_1", "object": "customer"}},
}

HANDLED = (200, "handled")
UNAVAILABLE = (500, "raw_body_unavailable")


def listening_hooks() -> Hooks:
    hooks = Hooks(secrets=SECRET)
    hooks.on("customer.updated")(lambda event: None)
    return hooks


def told(app: Any) -> tuple[int, str | None]:
    answer: Answer = send(app, EVENT, path=URL, secret=SECRET)
    return answer.status, answer.outcome


def assert_the_log_names_the_cure(records: list, outcome: tuple, cure: str) -> None:
    lines = [record.getMessage() for record in records if record.name == "hookloop"]
    if outcome == HANDLED:
        assert lines == []
    else:
        assert len(lines) == 1
        assert "reason=raw_body" in lines[0]
        assert cure in lines[0]


# --- Starlette and FastAPI ------------------------------------------------------------------


class ReadsTheBody(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        await request.body()
        return await call_next(request)


class ReadsJson(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        await request.json()
        return await call_next(request)


class ReadsTheStream(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        async for _ in request.stream():
            pass
        return await call_next(request)


def starlette_app() -> Starlette:
    return Starlette(routes=[Route(URL, listening_hooks().asgi)])


def fastapi_app() -> FastAPI:
    app = FastAPI()
    app.include_router(listening_hooks().fastapi_router(), prefix=URL)
    return app


@pytest.mark.parametrize("app", [starlette_app, fastapi_app])
@pytest.mark.parametrize(
    ("middleware", "outcome"),
    [(ReadsTheBody, HANDLED), (ReadsJson, HANDLED), (ReadsTheStream, UNAVAILABLE)],
)
def test_starlette_hands_on_a_body_but_not_a_stream(app, middleware, outcome, caplog):
    """`request.body()` in a middleware is harmless; `request.stream()` leaves nothing."""
    made = app()
    made.add_middleware(middleware)

    assert told(made) == outcome
    assert_the_log_names_the_cure(caplog.records, outcome, "read request.body() there instead")


def test_a_mount_redirects_the_form_without_a_slash():
    """Why the pages show two routes: Stripe would take this for a failure."""
    app = Starlette(routes=[Mount(URL, listening_hooks().asgi)])

    assert told(app)[0] == 307


# --- Flask ----------------------------------------------------------------------------------

FLASK_READS = {
    "get_data()": (lambda request: request.get_data(), HANDLED),
    "get_json()": (lambda request: request.get_json(), HANDLED),
    "form": (lambda request: request.form, HANDLED),
    "get_data(cache=False)": (lambda request: request.get_data(cache=False), UNAVAILABLE),
    "stream.read()": (lambda request: request.stream.read(), UNAVAILABLE),
}


@pytest.mark.parametrize("read", FLASK_READS)
def test_flask_keeps_what_is_cached(read, caplog):
    """Whatever goes through `get_data` is kept; the stream, once read, is empty."""
    use, outcome = FLASK_READS[read]
    app = flask.Flask("traps")
    app.register_blueprint(listening_hooks().flask_blueprint(), url_prefix=URL)

    @app.before_request
    def look() -> None:
        use(flask.request)

    assert told(app) == outcome
    assert_the_log_names_the_cure(caplog.records, outcome, "get_data(cache=True)")


# --- Django, in a process of its own: its settings are the process's -------------------------

DJANGO = """
import sys
import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from test_examples_raw_body import listening_hooks, told

def reads_{name}(get_response):
    def middleware(request):
        {read}
        return get_response(request)
    return middleware

if __name__ == "__main__":
    sys.modules["program"] = sys.modules["__main__"]
    settings.configure(
        ALLOWED_HOSTS=["*"], MIDDLEWARE=["program.reads_{name}"], ROOT_URLCONF="program",
        SECRET_KEY="x", USE_TZ=True,
    )
    django.setup()
    urlpatterns = listening_hooks().django_urls("webhooks/stripe")
    print(*told(WSGIHandler()))
"""


@pytest.mark.parametrize(
    ("name", "read", "outcome"),
    [
        ("body", "request.body", HANDLED),
        ("post", "request.POST", HANDLED),
        ("all", "request.read()", UNAVAILABLE),
    ],
    ids=["body", "POST", "read()"],
)
def test_django_keeps_the_body_but_not_what_was_read(name, read, outcome, request):
    """`request.POST` of JSON reads nothing; `request.read()` leaves nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DJANGO.format(name=name, read=read)],
        capture_output=True,
        text=True,
        cwd=request.path.parent,
        check=False,
    )

    assert done.stdout.split() == [str(part) for part in outcome], done.stderr
    assert ("let it use request.body" in done.stderr) == (outcome == UNAVAILABLE)
