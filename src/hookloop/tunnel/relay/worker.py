"""One process of a relay with several: a `Relay` whose names the supervisor knows."""

import asyncio
import pickle
import socket
import struct
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from typing import Any

from hookloop.clock import SystemClock
from hookloop.errors import ConfigError
from hookloop.ids import new_id
from hookloop.tunnel.wire.messages import Hello
from hookloop.version import __version__

from .acme_store import AcmeStore
from .config import RelayConfig
from .control import Channel, Message
from .peers import Peers, PeerServer
from .remote_landlord import RemoteLandlord
from .server import Relay

__all__ = ["introduced", "serve"]

REPORT_SECONDS = 1.0  # between two reports of the counts: what a scrape may be behind


def introduced(descriptor: int) -> tuple[socket.socket, RelayConfig, int, Path]:
    """Return the line to the supervisor, the settings, which worker this is, and its own path."""
    sock = socket.socket(fileno=descriptor)
    (length,) = struct.unpack("!I", _read(sock, 4))
    # The supervisor, which started us, made it: nobody else has the other end.
    config, index, path = pickle.loads(_read(sock, length))  # noqa: S301  # as above
    return sock, config, index, Path(path)


async def serve(sock: socket.socket, config: RelayConfig, index: int, path: Path) -> None:
    """Serve until the supervisor says otherwise, or has gone."""
    await _Worker(_for_one(config, index), index).run(sock, path)


class _Worker:
    def __init__(self, config: RelayConfig, index: int) -> None:
        self._index = index
        clock = SystemClock()
        limits = config.limits
        hello = Hello(
            id=new_id("wrk_", SystemRandom()),
            software=f"hookloop/{__version__}",
            stream_credit=limits.stream_credit_bytes,
            session_credit=limits.session_credit_bytes,
            streams_max=1,
        )
        self._peers = Peers(hello, clock)
        self._channel: Channel | None = None
        self._told_to_stop = asyncio.Event()
        self._is_left_alone = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._landlord: RemoteLandlord  # made by the relay, which knows what it needs
        self._relay = Relay(config, clock=clock, new_landlord=self._new_landlord, is_shared=True)
        self._server = PeerServer(hello, self._landlord.find_local, clock)

    def _new_landlord(self, relay: Relay) -> RemoteLandlord:
        self._landlord = RemoteLandlord(
            relay.config,
            self._index,
            self._peers,
            self._send,
            lambda: relay.tokens,
            relay.host_url,
            counts=relay.counts,
        )
        return self._landlord

    async def run(self, sock: socket.socket, path: Path) -> None:
        self._channel = await Channel.over(sock, self._received, self._left_alone)
        try:
            await self._server.start(path)
            await self._relay.start()
        except ConfigError as error:
            self._send({"op": "failed", "why": str(error)})
            await asyncio.sleep(0)
            return
        reporting = asyncio.get_running_loop().create_task(self._report())
        self._send(
            {"op": "ready", "url": self._relay.url, "tunnels_url": self._relay.tunnel_url("NAME")}
        )
        try:
            await self._told_to_stop.wait()
            if not self._is_left_alone:
                # The others may still need the agents that are here, until their callers are done.
                await self._relay.stop()
        finally:
            reporting.cancel()
            self._tell()
            self._peers.close()
            self._server.close()
            self._channel.close()

    async def _report(self) -> None:
        while True:
            self._tell()
            await asyncio.sleep(REPORT_SECONDS)

    def _tell(self) -> None:
        now = self._relay.statistics()
        self._send(
            {
                "op": "report",
                "sessions": now.sessions,
                "connections": now.downstreams,
                "streams": now.streams_open,
                "counts": self._relay.counts.as_dict(),
            }
        )

    def _send(self, message: Message) -> None:
        if self._channel is not None:
            self._channel.send(message)

    def _left_alone(self) -> None:
        """The supervisor has gone: nobody would restart us, or give out names."""
        self._is_left_alone = True
        self._told_to_stop.set()

    def _received(self, message: Message) -> None:
        match message["op"]:
            case "peer":
                self._peers.connect(message["worker"], message["path"])
            case "peer_gone":
                self._peers.forget(message["worker"])
            case "drain":
                self._told_to_stop.set()
            case "reload":
                if self._relay.tls is not None:
                    self._relay.tls.reload_soon()
            case _:
                self._landlord.received(message)
                if message["op"] == "settled":
                    self._relay.name_settled(message["host"])
                if number := message["op"] == "bound" and message.get("number"):
                    self._go(self._acknowledge(number, message["worker"]))

    async def _acknowledge(self, number: int, worker: int) -> None:
        """Say that callers who come here will be sent there, once they would."""
        await self._peers.wait_connected(worker)
        self._send({"op": "ack", "number": number})

    def _go(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _for_one(config: RelayConfig, index: int) -> RelayConfig:
    """Leave to the first worker, or the supervisor, what must not be done twice."""
    config = replace(config, admin_port=None, workers=1, unready_seconds=0.0)
    if config.tls is None or index == 0:
        return config
    tls = replace(config.tls, http_port=None)
    if tls.acme is not None:
        # The first worker fetches certificates; the others find them where it keeps them.
        kept = AcmeStore(tls.acme.folder, tls.acme.directory_url).certificates
        tls = replace(tls, acme=None, directories=(*tls.directories, kept))
    return replace(config, tls=tls)


def _read(sock: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = sock.recv(length - len(data))
        if not more:
            raise ConfigError("the supervisor has gone before it said anything")
        data += more
    return data
