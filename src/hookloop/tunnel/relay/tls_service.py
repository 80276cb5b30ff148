"""All of a relay's TLS in one: certificates, the TLS port, the plain port beside it, ACME."""

import asyncio
import logging
import os
import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from hookloop.clock import Clock
from hookloop.errors import ConfigError

from .acme_keeper import AcmeKeeper
from .certificates import Certificates
from .listening import Acceptor, listen
from .plain_front import PlainFront
from .tls_listener import Before, TlsListener, TlsStatistics
from .tls_settings import TlsSettings

__all__ = ["TlsOwner", "TlsService"]

logger = logging.getLogger("hookloop.relay")


class TlsOwner(Protocol):
    """What TLS needs of the relay."""

    def new_downstream(self) -> asyncio.Protocol:
        """Return who speaks HTTP with a caller."""
        ...

    def new_raw_caller(self, server_name: str) -> asyncio.Protocol | None:
        """Return who carries the bytes of a name that is passed through, or None for others."""
        ...

    def is_own_host(self, host: str) -> bool:
        """Say whether callers may be sent to *host* by https."""
        ...

    def handshake_ended(self, *, is_done: bool) -> None:
        """Count it."""
        ...


class TlsService:
    """Serves between `start` and `close`; `wait_closed` comes last."""

    def __init__(self, settings: TlsSettings, owner: TlsOwner, *, clock: Clock) -> None:
        """Raises `ConfigError` for certificates that cannot be used."""
        self._settings = settings
        self._owner = owner
        self._clock = clock
        self._keeper: AcmeKeeper | None = None
        directories = settings.directories
        if settings.acme is not None:
            self._keeper = AcmeKeeper(settings.acme, self.reload, clock=clock)
            directories = (*directories, self._keeper.store.certificates)
        self.certificates = Certificates(settings.files, directories, now=self._now())
        self._plain_front = PlainFront(
            self._keeper.store.challenge if self._keeper is not None else _no_challenge,
            is_ours=owner.is_own_host,
            https_port=lambda: self.port,
        )
        self.sockets: tuple[socket.socket, ...] = ()
        """Of the TLS port, as of an `asyncio.Server`."""
        self._listener: TlsListener | None = None
        self._plain: Acceptor | None = None
        self._plain_arrivals: set[asyncio.Task[object]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._look = asyncio.Event()

    async def start(
        self,
        host: str,
        port: int,
        *,
        backlog: int,
        reuse_port: bool = False,
        before: Before | None = None,
    ) -> None:
        """
        Serve TLS on *port*, and on the plain port redirections and challenges.

        *before* has each connection of *port* first, as one that begins with a PROXY header.

        Raises `OSError` when *port* cannot be had, `ConfigError` when the plain one cannot.
        """
        listeners = await listen(host, port, backlog=backlog, reuse_port=reuse_port)
        self.sockets = tuple(listeners)
        try:
            plain = await self._plain_listeners(host, backlog, reuse_port)
        except BaseException:
            for sock in listeners:
                sock.close()
            raise
        self._listener = TlsListener(
            listeners,
            self,
            handshake_seconds=self._settings.handshake_seconds,
            handshakes_max=self._settings.handshakes_max,
            before=before,
        )
        if plain:
            self._plain = Acceptor(plain, self._plain_accepted)
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._watch()))
        if self._keeper is not None:
            self._tasks.append(loop.create_task(self._keeper.run()))

    def close(self) -> None:
        """Take nothing new; connections that are open stay."""
        for acceptor in (self._listener, self._plain):
            if acceptor is not None:
                acceptor.close()
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()

    @property
    def port(self) -> int:
        """The TLS port."""
        assert self._listener is not None, "start it first"  # noqa: S101  # caller's duty
        return self._listener.port

    @property
    def plain_port(self) -> int | None:
        """The plain port beside it, where there is one."""
        return self._plain.port if self._plain is not None else None

    def statistics(self) -> TlsStatistics:
        return self._listener.statistics() if self._listener else TlsStatistics(0, 0, 0)

    def expiries(self) -> tuple[tuple[str, float], ...]:
        """Return the names of each certificate, and when it expires, in Unix seconds."""
        shown = self.certificates.all
        return tuple((",".join(one.names), one.not_after.timestamp()) for one in shown)

    async def reload(self) -> None:
        """Read the certificates that have changed, off the loop: a disk may be slow."""
        await asyncio.to_thread(lambda: self.certificates.reload(now=self._now()))

    def reload_soon(self) -> None:
        """Read them at once, as when a signal asks."""
        self._look.set()

    # --- TlsFront -----------------------------------------------------------------------------

    def context_for(self, server_name: str | None) -> ssl.SSLContext | None:
        return self.certificates.context_for(server_name)

    def new_downstream(self) -> asyncio.Protocol:
        return self._owner.new_downstream()

    def new_raw_caller(self, server_name: str) -> asyncio.Protocol | None:
        return self._owner.new_raw_caller(server_name)

    def handshake_ended(self, *, is_done: bool) -> None:
        self._owner.handshake_ended(is_done=is_done)

    # --- inside -------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.watch_seconds):
                    await self._look.wait()
            self._look.clear()
            await self.reload()

    async def _plain_listeners(
        self, host: str, backlog: int, reuse_port: bool
    ) -> list[socket.socket]:
        port = self._settings.http_port
        if port is None:
            return []
        try:
            return await listen(host, port, backlog=backlog, reuse_port=reuse_port)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError(
                f"the relay cannot listen on {host} port {port} for --http-port: {why}"
            ) from error

    def _plain_accepted(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(
            loop.connect_accepted_socket(self._plain_front.new_connection, sock)
        )
        self._plain_arrivals.add(task)
        task.add_done_callback(self._plain_arrivals.discard)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall(), UTC)


def _no_challenge(token: str) -> str | None:  # noqa: ARG001  # there is none of any token
    return None
