"""Every face as an application that `hookloop.testing.send` can post to."""

import base64
import types
from collections.abc import Callable
from typing import Any

import django
import flask
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from hookloop.events.receiver import Receiver
from hookloop.testing import Answer, SignedRequest, send, sign

PATH = "/webhooks/stripe"


class HashableNamespace(types.SimpleNamespace):
    """Stands for a URLconf module: Django keeps them as dict keys."""

    __hash__ = object.__hash__


if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="for tests",
        ROOT_URLCONF=HashableNamespace(urlpatterns=[]),
        INSTALLED_APPS=["hookloop.events.django"],
        MIDDLEWARE=[
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
        ],
        LOGGING_CONFIG=None,
        USE_TZ=True,
    )
    django.setup()


class Face:
    """A way to reach `Hooks`: name and sender."""

    def __init__(self, name: str, make: Callable[[Receiver], Any]) -> None:
        self.name = name
        self._make = make

    def app(self, hooks: Receiver) -> Any:
        return self._make(hooks)

    def send(self, hooks: Receiver, event: Any, **how: Any) -> Answer:
        return send(self.app(hooks), event, **{"path": PATH, **how})


def asgi(hooks: Receiver) -> Any:
    return hooks.asgi


def wsgi(hooks: Receiver) -> Any:
    return hooks.wsgi


def starlette_route(hooks: Receiver) -> Any:
    return Starlette(routes=[Route(PATH, hooks.asgi), Route(PATH + "/", hooks.asgi)])


def starlette_mount(hooks: Receiver) -> Any:
    return Starlette(routes=[Mount("/webhooks", hooks.asgi)])


def fastapi(hooks: Receiver) -> Any:
    app = FastAPI()
    app.include_router(hooks.fastapi_router(), prefix=PATH)
    return app


def flask_app(hooks: Receiver) -> Any:
    app = flask.Flask("tests")
    app.register_blueprint(hooks.flask_blueprint(), url_prefix=PATH)
    return app


def django_wsgi(hooks: Receiver) -> Any:
    urlconf = HashableNamespace(urlpatterns=hooks.django_urls(PATH))

    def app(environ: Any, start_response: Any) -> Any:
        with override_settings(ROOT_URLCONF=urlconf):
            return WSGIHandler()(environ, start_response)

    return app


def django_asgi(hooks: Receiver) -> Any:
    urlconf = HashableNamespace(urlpatterns=hooks.django_urls(PATH))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with override_settings(ROOT_URLCONF=urlconf):
            await ASGIHandler()(scope, receive, send)

    return app


class LambdaFace(Face):
    """Puts a request into the shape AWS hands it over in, and reads the answer out of it."""

    def __init__(self, name: str, shape: Callable[[SignedRequest, str, str], dict]) -> None:
        super().__init__(name, lambda hooks: hooks.lambda_handler)
        self._shape = shape

    def send(self, hooks: Receiver, event: Any, **how: Any) -> Answer:
        request = event if isinstance(event, SignedRequest) else sign(event, how["secret"])
        shaped = self._shape(request, how.get("method", "POST"), how.get("path", PATH))
        told = hooks.lambda_handler(shaped, None)
        headers = told.get("headers") or {
            name: values[0] for name, values in told["multiValueHeaders"].items()
        }
        return Answer(told["statusCode"], list(headers.items()), told["body"].encode())


def gateway_v1(request: SignedRequest, method: str, path: str) -> dict:
    several: dict[str, list[str]] = {}
    for name, value in request.headers:
        several.setdefault(name, []).append(value)
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": dict(request.headers),
        "multiValueHeaders": several,
        "requestContext": {"path": path},
        "body": base64.b64encode(request.body).decode(),
        "isBase64Encoded": True,
    }


def gateway_v2(request: SignedRequest, method: str, path: str) -> dict:
    joined: dict[str, str] = {}
    for name, value in request.headers:
        joined[name.lower()] = (
            f"{joined[name.lower()]},{value}" if name.lower() in joined else value
        )
    return {
        "version": "2.0",
        "rawPath": path,
        "headers": joined,
        "requestContext": {"http": {"method": method, "path": path}},
        "body": base64.b64encode(request.body).decode(),
        "isBase64Encoded": True,
    }


def load_balancer(request: SignedRequest, method: str, path: str) -> dict:
    event = gateway_v1(request, method, path)
    del event["headers"], event["resource"]
    event["requestContext"] = {"elb": {"targetGroupArn": "arn"}}
    return event


class ReceiveFace(Face):
    """`Hooks.receive` itself, as one calls it from anything else."""

    def __init__(self) -> None:
        super().__init__("receive", lambda hooks: hooks)


FACES = [
    ReceiveFace(),
    Face("asgi", asgi),
    Face("wsgi", wsgi),
    Face("starlette route", starlette_route),
    Face("starlette mount", starlette_mount),
    Face("fastapi", fastapi),
    Face("flask", flask_app),
    Face("django wsgi", django_wsgi),
    Face("django asgi", django_asgi),
    LambdaFace("lambda v1", gateway_v1),
    LambdaFace("lambda v2", gateway_v2),
    LambdaFace("load balancer", load_balancer),
]
