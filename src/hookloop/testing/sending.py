"""`send`: a signed request through an application's real bytes path, and its answer back."""

import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hookloop.errors import ConfigError
from hookloop.events import Hooks, ProviderHooks

from .answer import Answer
from .signed_request import SECRET, SignedRequest, sign

__all__ = ["PATH", "WAIT_SECONDS", "asend", "send"]

PATH = "/webhooks/stripe"
WAIT_SECONDS = 30.0  # a webhook's sender waits no longer, and neither should a test


def send(  # what is sent where, and how
    app: Any,
    event: Mapping[str, Any] | SignedRequest | bytes,
    *,
    path: str | None = None,
    secret: str | Sequence[str] = SECRET,
    method: str = "POST",
    wait_seconds: float = WAIT_SECONDS,
) -> Answer:
    """
    Send *event* to *app* as Stripe would, and return the `Answer`.

    *app* is what you run in production: an ASGI application (FastAPI, Starlette, Django's),
    which gets the body in several pieces; a WSGI application (Flask, Django's); a
    ``django.test.Client``, for the configured URLconf; an ``http://`` URL; or `Hooks` itself.
    An event that is no `SignedRequest` yet is signed with *secret*, now. *path*: where the
    app takes webhooks, ``/webhooks/stripe`` by default, or what the URL says.

    What the app raises is a 500 with the exception in `Answer.error`, as a server makes it;
    a `BaseException`, such as the `Crash` of `chaos`, passes through. Nothing follows a
    redirect: Stripe counts it as a failure. Raises `ConfigError` for what is no application
    and where an event loop runs (there, await `asend`), `TimeoutError` after *wait_seconds*,
    `OSError` where nothing listens at the URL.
    """
    request = event if isinstance(event, SignedRequest) else sign(event, secret)
    if isinstance(app, str):
        from .through_http import through_http

        return through_http(app, request, method, path, wait_seconds)
    where = path or PATH
    if isinstance(app, Hooks | ProviderHooks):
        result = app.receive(request.body, request.headers, method=method, path=where)
        return Answer(result.status, result.headers, result.body)
    if _is_django_client(app):
        from .through_django import through_client

        return through_client(app, request, method, where)
    if is_asgi(app):
        return _run_asgi(app, request, method, where, wait_seconds)
    from .through_wsgi import through_wsgi

    return through_wsgi(app, request, method, where)


async def asend(  # as `send`
    app: Any,
    event: Mapping[str, Any] | SignedRequest | bytes,
    *,
    path: str | None = None,
    secret: str | Sequence[str] = SECRET,
    method: str = "POST",
    wait_seconds: float = WAIT_SECONDS,
) -> Answer:
    """
    Do what `send` does, on the running loop; what is not async runs in a thread.

    A ``django.test.AsyncClient`` is taken here as well.
    """
    import asyncio

    request = event if isinstance(event, SignedRequest) else sign(event, secret)
    where = path or PATH
    if isinstance(app, Hooks | ProviderHooks):
        result = await app.areceive(request.body, request.headers, method=method, path=where)
        return Answer(result.status, result.headers, result.body)
    if _is_django_client(app):
        from .through_django import athrough_client

        return await athrough_client(app, request, method, where)
    if not isinstance(app, str) and is_asgi(app):
        from .through_asgi import through_asgi

        return await through_asgi(app, request, method, where, wait_seconds)
    return await asyncio.to_thread(
        send, app, request, path=path, method=method, wait_seconds=wait_seconds
    )


def is_asgi(app: Any) -> bool:
    """Say whether *app* is ASGI, as against WSGI. Raises `ConfigError` where it is neither."""
    if not callable(app):
        raise ConfigError(
            f"a {type(app).__name__} is no application: give send() an ASGI or WSGI application, "
            "a django.test.Client, Hooks, or an http:// URL"
        )
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        return True
    try:
        inspect.signature(app).bind("environ", "start_response")
    except TypeError:
        return True  # it takes scope, receive and send
    except ValueError:
        pass  # written in C: WSGI
    return False


def _run_asgi(
    app: Any, request: SignedRequest, method: str, path: str, wait_seconds: float
) -> Answer:
    import asyncio

    from .through_asgi import through_asgi

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(through_asgi(app, request, method, path, wait_seconds))
    raise ConfigError("send() would block the event loop that runs here: await asend() instead")


def _is_django_client(app: Any) -> bool:
    module = sys.modules.get("django.test.client")  # whoever has a client has imported it
    return module is not None and isinstance(app, module.ClientMixin)
