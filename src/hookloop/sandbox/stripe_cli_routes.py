"""The sessions of Stripe's command line on sockets: the API call that opens one, its WebSocket."""

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from hookloop.clock import Clock

from .authentication import authenticate
from .errors import ApiError
from .memory import MemoryAccounts
from .store import Changes
from .stripe_cli import FRAMES_WAITING_MAX, CliSession, CliSessions

__all__ = ["SESSIONS_PATH", "StripeCliRoutes"]

SESSIONS_PATH = "/v1/stripecli/sessions"

PROTOCOL = "stripecli-devproxy-v1"

FORM_BYTES_MAX = 64 * 1024  # Names, URLs and filters.


class _Queue:
    """The frames that one WebSocket has yet to take."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[str | None] = asyncio.Queue()

    def send(self, frame: str) -> None:
        if self.frames.qsize() >= FRAMES_WAITING_MAX:
            self.frames.put_nowait(None)  # it is cut off, and comes again
        else:
            self.frames.put_nowait(frame)


class StripeCliRoutes:
    """Where the command line asks for a session, and where it listens."""

    def __init__(
        self,
        sessions: CliSessions,
        accounts: MemoryAccounts,
        clock: Clock,
        base_url: Callable[[], str],
    ) -> None:
        self._sessions = sessions
        self._accounts = accounts
        self._clock = clock
        self._base_url = base_url

    def routes(self) -> list[BaseRoute]:
        return [
            Route(SESSIONS_PATH, self._open, methods=["POST"]),
            WebSocketRoute("/subscribe/{account}", self._listen),
        ]

    async def _open(self, request: Request) -> JSONResponse:
        try:
            account = authenticate(request.headers.get("authorization"))
            self._accounts.store_of(account)
            body = (await request.body())[:FORM_BYTES_MAX]
            form = parse_qs(body.decode("utf-8", "replace"))
            return JSONResponse(self._sessions.open(account, form, self._base_url()))
        except ApiError as error:
            return JSONResponse(error.body("req_cli"), error.status, headers=dict(error.headers))

    async def _listen(self, socket: WebSocket) -> None:
        session = self._sessions.session(socket.headers.get("websocket-id", ""))
        if session is None:
            refusal = {"error": {"message": "Unknown WebSocket ID."}}
            await socket.send_denial_response(JSONResponse(refusal, 400))
            return
        await socket.accept(subprotocol=PROTOCOL)
        queue = session.listener = _Queue()
        writing = asyncio.create_task(_write(socket, queue))
        try:
            while True:
                self._told(session, await socket.receive_text())
        except (WebSocketDisconnect, KeyError):
            pass  # it has gone; or sent bytes, which are none of the protocol's
        finally:
            writing.cancel()
            if session.listener is queue:
                session.listener = None

    def _told(self, session: CliSession, text: str) -> None:
        """Keep what the command line says of a delivery, where the event is still known."""
        told = self._sessions.told(text, now=self._clock.wall())
        store = self._accounts.store_of(session.account)
        if told is not None and told[0].session is session:
            store.commit(Changes(deliveries=[told[1]]), now=self._clock.wall())


async def _write(socket: WebSocket, queue: _Queue) -> None:
    while (frame := await queue.frames.get()) is not None:
        await socket.send_text(frame)
    await socket.close(1013)
