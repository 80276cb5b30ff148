"""Little apps with one fault each, on real sockets."""

import asyncio
import contextlib
import json
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator

import stripe
import uvicorn
from patience import PATIENCE
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

SECRET = "whsec_4fZq0d1HkcS9vJx7"


@contextlib.contextmanager
def served(app: object) -> Iterator[str]:
    """Serve *app* on a free port; requests wait in the socket's queue until it is up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, log_level=logging.CRITICAL, lifespan="off")
        )
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


def post(path: str, endpoint: object, *middleware: Middleware) -> Starlette:
    return Starlette(routes=[Route(path, endpoint, methods=["POST"])], middleware=list(middleware))


def verifying(read: Callable[[Request], Awaitable[bytes]], **options: object) -> object:
    """Return an endpoint as in Stripe's own documentation, given what it takes for the body."""

    async def endpoint(request: Request) -> Response:
        signature = request.headers.get("stripe-signature", "")
        try:
            stripe.Webhook.construct_event(await read(request), signature, SECRET, **options)
        except ValueError:
            return JSONResponse({"error": "Invalid payload"}, 400)
        except stripe.SignatureVerificationError:
            return JSONResponse({"error": "Invalid signature"}, 400)
        return JSONResponse({"received": True})

    return endpoint


async def raw(request: Request) -> bytes:
    return await request.body()


async def dumped(request: Request) -> bytes:
    return json.dumps(await request.json()).encode()


async def compact(request: Request) -> bytes:
    text = json.dumps(await request.json(), separators=(",", ":"), ensure_ascii=False)
    return text.encode()


class Consuming(BaseHTTPMiddleware):
    """Counts bytes, as a logging middleware does, and leaves none."""

    async def dispatch(self, request: Request, call_next: Callable) -> Response:
        async for _ in request.stream():
            pass
        return await call_next(request)


async def careless(_request: Request) -> Response:
    return JSONResponse({"received": True})


async def failing(_request: Request) -> Response:
    raise RuntimeError("told to nobody")


async def login_page(_request: Request) -> Response:
    return HTMLResponse("<title>Log in</title><form><input type='password'></form>")


async def single_page_app(_request: Request) -> Response:
    return HTMLResponse("<!doctype html><div id='root'></div>")
