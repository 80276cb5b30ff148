"""The FastAPI face: a router that hands requests to the ASGI one, body unread."""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

if TYPE_CHECKING:
    from .receiver import Receiver

__all__ = ["router_for"]

# All of them, so that what is not POST gets our 405 and not a 404 of another route.
_METHODS = ["POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]


def router_for(receiver: "Receiver") -> APIRouter:
    """Return a router that answers at its prefix, with and without a slash at the end."""
    router = APIRouter()

    async def stripe_webhook(_request: Request) -> Response:
        return _HandOver(receiver)

    for path in ("", "/"):
        router.add_api_route(path, stripe_webhook, methods=_METHODS, include_in_schema=False)
    return router


class _HandOver(Response):
    """A response that lets the ASGI face read the request and answer it."""

    def __init__(self, receiver: "Receiver") -> None:
        super().__init__()
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._receiver.asgi(scope, receive, send)
