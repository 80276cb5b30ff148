"""
ngrok's local API under ``/api``, for programs that know it: pyngrok and its like.

Shapes and errors stand in `ngrok_resources` and `ngrok_errors`; here is who answers what.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hookloop.errors import ConfigError, HookloopError, RefusedError, RemoteError

from . import ngrok_errors as errors
from .ngrok_errors import ApiError
from .ngrok_resources import (
    KeptRequest,
    TunnelView,
    check_definition,
    endpoint_resource,
    request_resource,
    root_resource,
    status_resource,
    tunnel_resource,
)

__all__ = ["AgentControl", "NotReadyError", "RequestKeeper", "ngrok_api"]

BODY_BYTES_MAX = 1024 * 1024  # a definition is a few hundred; a traffic policy may be pasted in
LIMIT_MAX = 1_000  # requests in one answer, each with both its bodies
LIMIT = 50  # as many as ngrok's agent shows unasked


class NotReadyError(RemoteError):
    """There has been no session with the relay yet."""


class AgentControl(Protocol):
    """The agent, as far as its local API lets others have their way with it."""

    version: str
    relay: str

    @property
    def is_online(self) -> bool: ...

    @property
    def latency_seconds(self) -> float | None: ...

    def tunnels(self) -> Sequence[TunnelView]:
        """Return those that callers reach."""
        ...

    async def start(self, definition: Mapping[str, Any], *, is_endpoint: bool) -> TunnelView:
        """
        Open the tunnel of *definition*, of ngrok's version 2, or 3 for an endpoint.

        Raises `ConfigError` for one that cannot work, `NotReadyError`, and `RefusedError` where
        the relay says no.
        """
        ...

    def stop(self, name: str) -> None:
        """Give a tunnel back. Raises `ConfigError` where there is none of that name."""
        ...


class RequestKeeper(Protocol):
    """What was captured, as far as the API asks for it."""

    async def requests(self, *, limit: int, tunnel: str | None) -> Sequence[KeptRequest]:
        """Return the newest *limit*, newest first, of *tunnel* or of all."""
        ...

    async def request(self, id_: str) -> KeptRequest | None: ...

    async def clear(self) -> None: ...

    async def replay(self, id_: str, tunnel: str | None) -> bool:
        """
        Send it to the local service once more; say whether it was there.

        Raises `RemoteError` where it was captured in part, or its tunnel is gone.
        """
        ...


def ngrok_api(agent: AgentControl, kept: RequestKeeper | None = None) -> list[BaseRoute]:
    """
    Return the routes of ``/api``, to be put behind the inspector's own check of the Host.

    Without *kept*, as where nothing is captured, there are no requests to ask for.
    """
    api = _Api(agent)
    requests = _Requests(kept) if kept is not None else None
    return [
        _route("/api", GET=api.root),
        _route("/api/status", GET=api.status),
        _route("/api/tunnels", POST=api.start_tunnel, GET=api.tunnels),
        _route("/api/tunnels/{name:path}", GET=api.tunnel, DELETE=api.stop),
        _route("/api/endpoints", POST=api.start_endpoint, GET=api.endpoints),
        _route(
            "/api/endpoints/{name:path}", GET=api.endpoint, PUT=api.put_endpoint, DELETE=api.stop
        ),
        *(_request_routes(requests) if requests is not None else ()),
        Route("/api/{rest:path}", _answered(_nothing), methods=None),
    ]


def _request_routes(api: "_Requests") -> list[BaseRoute]:
    return [
        _route("/api/requests/http", POST=api.replay, GET=api.requests, DELETE=api.clear),
        _route("/api/requests/http/{id:path}", GET=api.request),
    ]


class _Api:
    def __init__(self, agent: AgentControl) -> None:
        self._agent = agent

    async def root(self, _request: Request) -> Response:
        return JSONResponse(root_resource())

    async def status(self, _request: Request) -> Response:
        agent = self._agent
        return JSONResponse(
            status_resource(
                agent.version,
                is_online=agent.is_online,
                relay=agent.relay,
                latency_seconds=agent.latency_seconds,
            )
        )

    # --- tunnels ----------------------------------------------------------------------------

    async def tunnels(self, _request: Request) -> Response:
        shown = [tunnel_resource(tunnel) for tunnel in self._agent.tunnels()]
        return JSONResponse({"tunnels": shown, "uri": "/api/tunnels"})

    async def tunnel(self, request: Request) -> Response:
        return JSONResponse(tunnel_resource(self._named(request)))

    async def start_tunnel(self, request: Request) -> Response:
        definition = await _definition(request)
        if why := check_definition(definition):
            raise errors.bad_definition(why)
        tunnel = await self._started(definition, is_endpoint=False)
        return JSONResponse(tunnel_resource(tunnel), status_code=201)

    async def stop(self, request: Request) -> Response:
        tunnel = self._named(request)
        self._agent.stop(tunnel.name)
        return Response(status_code=204)

    async def endpoints(self, _request: Request) -> Response:
        shown = [endpoint_resource(each, is_detailed=False) for each in self._agent.tunnels()]
        return JSONResponse({"endpoints": shown, "uri": "/api/endpoints"})

    async def endpoint(self, request: Request) -> Response:
        return JSONResponse(endpoint_resource(self._named(request), is_detailed=True))

    async def start_endpoint(self, request: Request) -> Response:
        tunnel = await self._started(await _definition(request), is_endpoint=True)
        return JSONResponse(endpoint_resource(tunnel, is_detailed=True), status_code=201)

    async def put_endpoint(self, request: Request) -> Response:
        """Make the endpoint as it is told to be: the one there was goes."""
        name = request.path_params["name"]
        definition = {**await _definition(request), "name": name}
        is_known = any(tunnel.name == name for tunnel in self._agent.tunnels())
        if is_known:
            self._agent.stop(name)
        tunnel = await self._started(definition, is_endpoint=True)
        shown = endpoint_resource(tunnel, is_detailed=True)
        return JSONResponse(shown, status_code=200 if is_known else 201)

    async def _started(self, definition: Mapping[str, Any], *, is_endpoint: bool) -> TunnelView:
        try:
            return await self._agent.start(definition, is_endpoint=is_endpoint)
        except ConfigError as error:
            raise errors.bad_definition(str(error)) from None
        except NotReadyError:
            raise errors.not_ready() from None
        except RefusedError as error:
            raise errors.relay_refused(f"{error.code}: {error}") from None

    def _named(self, request: Request) -> TunnelView:
        name = request.path_params["name"]
        for tunnel in self._agent.tunnels():
            if tunnel.name == name:
                return tunnel
        raise errors.tunnel_not_found(name)


class _Requests:
    def __init__(self, kept: RequestKeeper) -> None:
        self._kept = kept

    async def requests(self, request: Request) -> Response:
        limit = _whole(request.query_params.get("limit"), LIMIT)
        tunnel = request.query_params.get("tunnel_name") or None
        kept = await self._kept.requests(limit=min(limit, LIMIT_MAX), tunnel=tunnel)
        shown = [request_resource(each) for each in kept]
        return JSONResponse({"uri": "/api/requests/http", "requests": shown})

    async def request(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        kept = await self._kept.request(id_)
        if kept is None:
            raise errors.request_not_found(id_)
        return JSONResponse(request_resource(kept))

    async def clear(self, _request: Request) -> Response:
        await self._kept.clear()
        return Response(status_code=204)

    async def replay(self, request: Request) -> Response:
        asked = await _definition(request)
        id_, tunnel = asked.get("id"), asked.get("tunnel_name")
        if not isinstance(id_, str) or not isinstance(tunnel, str | None):
            raise errors.unreadable("id is not the id of a captured request")
        try:
            is_there = await self._kept.replay(id_, tunnel or None)
        except HookloopError as error:
            raise errors.internal(str(error)) from None
        if not is_there:
            raise errors.request_not_found(id_)
        return Response(status_code=204)


# --- inside ----------------------------------------------------------------------------------

_Endpoint = Callable[[Request], Awaitable[Response]]


def _route(path: str, **by_method: _Endpoint) -> Route:
    """Answer each method by its function, and any other by ngrok's 405."""

    async def dispatch(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        if method not in by_method:
            raise errors.method_not_allowed(request.method, list(by_method))
        return await by_method[method](request)

    return Route(path, _answered(dispatch), methods=None)


class _answered:  # noqa: N801  # it wraps functions
    """An ASGI application, so that Starlette asks it for every method there is."""

    def __init__(self, endpoint: _Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            response = await self._endpoint(Request(scope, receive))
        except ApiError as error:
            response = JSONResponse(error.body(), status_code=error.status)
        await response(scope, receive, send)


async def _nothing(request: Request) -> Response:
    raise errors.path_not_found(request.url.path)


async def _definition(request: Request) -> dict[str, Any]:
    """Read an object of JSON. Raises `ApiError` for another type, or for what is none."""
    told = request.headers.get("content-type", "")
    if told.partition(";")[0].strip().lower() not in errors.READ_TYPES:
        raise errors.unsupported_type(told)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise errors.unreadable(f"the body is over {BODY_BYTES_MAX} bytes")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise errors.unreadable(str(error)) from None
    if not isinstance(value, dict):
        raise errors.unreadable("the body is no JSON object")
    return value


def _whole(text: str | None, default: int) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise errors.unreadable(f"limit is {text[:20]!r}, and no whole number")
    return int(text)
