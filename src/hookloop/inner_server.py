"""uvicorn inside a process that does other things as well: one way for all who serve pages so."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

__all__ = ["InnerServer"]


class InnerServer(uvicorn.Server):
    """
    A server that says when it listens, logs nothing, and leaves signals to its process.

    *app*: an ASGI application. *shutdown_seconds*: for requests that are open when it ends.
    *settings*: further ones of `uvicorn.Config`.
    """

    def __init__(self, app: Any, *, shutdown_seconds: float, **settings: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                access_log=False,
                lifespan="off",
                log_config=None,
                log_level=logging.CRITICAL,
                server_header=False,
                timeout_graceful_shutdown=shutdown_seconds,  # type: ignore[arg-type] # given to asyncio
                **{"ws": "none", **settings},
            )
        )
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
