"""Through Django's test client: middleware, the configured URLconf and the view."""

from typing import Any

from hookloop.errors import ConfigError

from .answer import Answer
from .signed_request import SignedRequest
from .through_wsgi import joined_headers

__all__ = ["athrough_client", "through_client"]


def through_client(client: Any, request: SignedRequest, method: str, path: str) -> Answer:
    """
    Send *request* with *client*, a ``django.test.Client``, and return the answer.

    Give it ``enforce_csrf_checks=True`` and it refuses what production would refuse.
    Raises `ConfigError` for an ``AsyncClient``, which only `asend` can await.
    """
    if _is_async(client):
        raise ConfigError(
            "a django.test.AsyncClient is for `await asend(...)`; send() takes Client"
        )
    try:
        response = client.generic(method, path, **_arguments(request))
    except Exception as error:  # the client passes on what a server turns into a 500
        return Answer(500, [], b"", error=error)
    return _answer(response)


async def athrough_client(client: Any, request: SignedRequest, method: str, path: str) -> Answer:
    """Do what `through_client` does with an ``AsyncClient``; a ``Client`` runs in a thread."""
    if not _is_async(client):
        import asyncio

        return await asyncio.to_thread(through_client, client, request, method, path)
    try:
        response = await client.generic(method, path, **_arguments(request))
    except Exception as error:  # as above
        return Answer(500, [], b"", error=error)
    return _answer(response)


def _is_async(client: Any) -> bool:
    from django.test import AsyncClient

    return isinstance(client, AsyncClient)


def _arguments(request: SignedRequest) -> dict[str, Any]:
    headers = joined_headers(request)
    # Django's client writes these two itself.
    headers.pop("Content-Length", None)
    type_ = headers.pop("Content-Type", "application/octet-stream")
    return {"data": request.body, "content_type": type_, "headers": headers}


def _answer(response: Any) -> Answer:
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return Answer(response.status_code, response.items(), body)
