"""One caller's connection through a tcp or tls tunnel: its stream, and ours to the upstream."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from hookloop.clock import Clock
from hookloop.tunnel.raw_pipe import RawPipe
from hookloop.tunnel.wire.messages import ResetCode
from hookloop.tunnel.wire.raw import Connect

from .config import TunnelConfig
from .proxy_header import proxy_header

__all__ = ["RawConnection", "RawUpstream"]


@dataclass(frozen=True, slots=True)
class RawConnection:
    """A connection that has ended."""

    tunnel: str
    """The label of the tunnel."""
    remote: str
    """The caller's address, as the relay saw it."""
    server_name: str
    bytes_in: int
    """From the caller."""
    bytes_out: int
    """To the caller."""
    seconds: float
    failure: str | None
    """Why it ended before its time; None for a connection that both sides closed."""


class RawSession(Protocol):
    """What it needs of the agent. None of these may raise."""

    def send_data(self, stream: int, data: bytes) -> bool: ...

    def end_stream(self, stream: int) -> None: ...

    def reset_stream(self, stream: int, code: ResetCode, message: str) -> None: ...

    def consumed(self, stream: int, length: int) -> None: ...

    def raw_ended(self, stream: int) -> None: ...


class RawUpstream:
    """
    Connects to the upstream, and pipes.

    What the caller sends before the upstream has accepted waits: no more than the stream's credit.
    """

    def __init__(
        self,
        stream: int,
        connect: Connect,
        config: TunnelConfig,
        session: RawSession,
        on_ended: Callable[[RawConnection], None],
        *,
        public_url: str | None,
        clock: Clock,
    ) -> None:
        self._stream = stream
        self._connect = connect
        self._config = config
        self._session = session
        self._on_ended = on_ended
        self._public_port = urlsplit(public_url or "").port or 0
        self._clock = clock
        self._started = clock.monotonic()
        self._code = ResetCode.CANCELLED
        self._pipe = RawPipe(self, clock, idle_seconds=config.idle_seconds)
        if config.proxy_protocol is not None:
            header = proxy_header(
                config.proxy_protocol,
                connect.remote,
                port=self._public_port,
                server_name=connect.server_name,
            )
            self._pipe.greet(header)

    async def connect(self) -> None:
        """Connect, or reset the stream. Never raises but when it is cancelled."""
        loop = asyncio.get_running_loop()
        upstream = self._config.upstream
        try:
            async with asyncio.timeout(self._config.connect_seconds):
                if upstream.socket_path is not None:
                    await loop.create_unix_connection(lambda: self._pipe, upstream.socket_path)
                else:
                    await loop.create_connection(lambda: self._pipe, upstream.host, upstream.port)
        except TimeoutError:
            self._refused(ResetCode.UPSTREAM_TIMEOUT, f"{upstream} did not accept in time")
        except (OSError, UnicodeError) as error:
            self._refused(
                ResetCode.UPSTREAM_REFUSED, f"cannot connect to {upstream}: {_why(error)}"
            )

    # --- from the agent's session ---------------------------------------------------------------

    def raw_data(self, data: bytes, *, is_ended: bool) -> None:
        self._pipe.raw_data(data, is_ended=is_ended)

    def stream_reset(self, message: str) -> None:
        self._pipe.stream_reset(message)

    def may_send_again(self) -> None:
        self._pipe.may_send_again()

    # --- PipeStream ---------------------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        return self._session.send_data(self._stream, data)

    def end(self) -> None:
        self._session.end_stream(self._stream)

    def reset(self, message: str) -> None:
        self._session.reset_stream(self._stream, self._code, message)

    def consumed(self, length: int) -> None:
        self._session.consumed(self._stream, length)

    def closed(self, pipe: RawPipe, failure: str | None) -> None:
        self._session.raw_ended(self._stream)
        self._on_ended(
            RawConnection(
                tunnel=self._config.label,
                remote=self._connect.remote,
                server_name=self._connect.server_name,
                bytes_in=pipe.bytes_sent,
                bytes_out=pipe.bytes_received,
                seconds=self._clock.monotonic() - self._started,
                failure=failure,
            )
        )

    # --- inside -------------------------------------------------------------------------------

    def _refused(self, code: ResetCode, message: str) -> None:
        self._code = code
        self._pipe.cut(message)


def _why(error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
