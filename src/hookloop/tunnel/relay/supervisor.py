"""
A relay of several processes: starts the workers, and decides what must be decided once.

All workers listen on one port (SO_REUSEPORT), so the kernel shares the connections out. An
agent lives on the worker it reached; a caller may reach any, which passes its request on to
the agent's worker: one hop, and never two. Who has which name is decided here, in one
registry, and told to all workers before the agent is told that its tunnel is up.
"""

import asyncio
import logging
import pickle
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import SystemRandom
from typing import Any

from hookloop.clock import Clock, SystemClock
from hookloop.errors import ConfigError
from hookloop.ids import RandomSource
from hookloop.tunnel.log_values import Values

from .admin import Admin, start_admin
from .config import RelayConfig
from .control import Channel, Message
from .counts import Counts
from .gate import Gate
from .landlord import tunnels_max
from .listening import cannot_listen
from .metrics import CONTENT_TYPE, Gauges, Metrics
from .names import Namespace, Place
from .registry import Granted, NotGranted, Owner, Registry

__all__ = ["Supervisor", "running_supervisor"]

logger = logging.getLogger("hookloop.relay")

START_SECONDS = 30.0  # for a worker to be ready: Python's imports on a busy machine
ACK_SECONDS = 2.0  # for the other workers to know a name; one that is stuck holds nobody up
RESTART_SECONDS_MIN = 0.1  # doubled each time, up to the next, by a worker that ends at once
RESTART_SECONDS_MAX = 5.0
STEADY_SECONDS = 10.0  # one that lived so long is started again without a wait
LOOK_SECONDS = 1.0  # between two looks for names that were held long enough


@dataclass(frozen=True, slots=True)
class _Ref:
    """A link, as it is known here: of a worker's process, by a number."""

    worker: int
    generation: int
    link: int


@dataclass(slots=True, eq=False)
class _Worker:
    index: int
    generation: int
    process: asyncio.subprocess.Process
    channel: Channel | None = None
    started: float = 0.0
    is_ready: bool = False
    links: set[_Ref] = field(default_factory=set)
    report: Message | None = None


@dataclass(slots=True)
class _Waiting:
    """Something to do once these workers have answered."""

    workers: set[int]
    then: Callable[[], None]


class Supervisor:
    """Runs the workers between `start` and `stop`; use `running_supervisor`."""

    def __init__(
        self,
        config: RelayConfig,
        command: Sequence[str],
        *,
        clock: Clock | None = None,
        random: RandomSource | None = None,
    ) -> None:
        """
        *command* starts a worker: it is given the number of its socket's file descriptor.

        Raises `ConfigError` for tokens that cannot be used.
        """
        self.config = config
        self.url = self.tunnels_url = ""
        """Where agents connect, and where tunnels are; known once it has started."""
        self._command = tuple(command)
        self._clock = clock or SystemClock()
        self._random = random or SystemRandom()
        self._gate = Gate(config, self._clock)
        self._namespace = Namespace(*config.domains, reserved=config.reserved_names)
        self._registry: Registry[_Ref] = Registry(
            self._namespace,
            hold_seconds=config.hold_seconds,
            tunnels_per_agent_max=config.limits.tunnels_per_agent_max,
        )
        self._workers: dict[int, _Worker] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: dict[int, _Waiting] = {}
        self._next_ack = 0
        self._generation = 0
        self._past = Counts()
        """Of workers that have ended."""
        self._failed: str | None = None
        self._changed = asyncio.Event()
        self._is_draining = False
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._reserved: socket.socket | None = None
        self._admin: Admin | None = None

    # --- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises `ConfigError` if the workers cannot start."""
        config = self.config
        self._folder = tempfile.TemporaryDirectory(prefix="hookloop-relay-")  # of mode 0700
        try:
            # Bound and not listening: it keeps the port for workers that come and go.
            self._reserved = _reserve(config.host, config.port)
            self.config = replace(config, port=self._reserved.getsockname()[1])
            metrics = Metrics(lambda: (self._gauges(), self._counts()))
            self._admin = await start_admin(
                config,
                self._clock,
                why_not_ready=self.why_not_ready,
                metrics=lambda: (CONTENT_TYPE, metrics.render()),
            )
            for index in range(config.workers):
                self._go(self._keep(index))
            async with asyncio.timeout(START_SECONDS):
                await self._until(self._has_started)
        except TimeoutError:
            await self.kill()
            raise ConfigError(
                f"the relay's workers were not ready in {START_SECONDS:g} s"
            ) from None
        except OSError as error:
            await self.kill()
            raise ConfigError(cannot_listen(config.host, config.port, error)) from error
        except BaseException:
            await self.kill()
            raise
        if self._failed is not None:
            await self.kill()
            raise ConfigError(self._failed)
        self._gate.watch()
        self._go(self._look())

    async def stop(self) -> None:
        """As `Relay.stop`: not ready, then drained, then ended. Cancelling it ends all at once."""
        self._is_draining = True
        try:
            await asyncio.sleep(self.config.unready_seconds)
            self._tell_all({"op": "drain"})
            with suppress(TimeoutError):
                # The workers cut what is left by themselves; one that is stuck is not waited for.
                async with asyncio.timeout(self.config.drain_seconds + ACK_SECONDS):
                    await self._until(lambda: not self._workers)
        finally:
            await self.kill()

    async def kill(self) -> None:
        """End all of it now."""
        self._is_draining = True
        self._gate.close()
        for worker in self._workers.values():
            with suppress(ProcessLookupError):
                worker.process.kill()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._reserved is not None:
            self._reserved.close()
        if self._folder is not None:
            self._folder.cleanup()
        if self._admin is not None:
            await self._admin.close()
            self._admin = None

    def reload_soon(self) -> None:
        """Have the workers read certificates again."""
        self._tell_all({"op": "reload"})

    @property
    def admin_url(self) -> str | None:
        """Where metrics, liveness and readiness are, if anywhere."""
        return self._admin.url if self._admin is not None else None

    @property
    def processes(self) -> list[int]:
        """The process ids of the workers."""
        return [worker.process.pid for worker in self._workers.values()]

    def why_not_ready(self) -> str | None:
        """Return why a load balancer should send nobody here, or None."""
        if self._is_draining:
            return "draining"
        # One that starts again does not make the others useless.
        return None if any(worker.is_ready for worker in self._workers.values()) else "starting"

    # --- workers ------------------------------------------------------------------------------

    async def _keep(self, index: int) -> None:
        """Run worker *index*, and run it again when it has ended."""
        pause = RESTART_SECONDS_MIN
        while not self._is_ending():
            started = self._clock.monotonic()
            code = await self._run(index)
            if self._is_ending():
                return
            if self._clock.monotonic() - started > STEADY_SECONDS:
                pause = RESTART_SECONDS_MIN
            values = Values(worker=index, code=code, restart_seconds=pause)
            logger.warning("worker ended, it is started again %s", values)
            await asyncio.sleep(pause)
            pause = min(2 * pause, RESTART_SECONDS_MAX)

    async def _run(self, index: int) -> int:
        """Start a worker, and return its exit code when it has ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            process = await asyncio.create_subprocess_exec(
                *self._command,
                str(number),
                pass_fds=[number],
                start_new_session=True,  # Ctrl+C is for the supervisor, which tells the workers
            )
        self._generation += 1
        worker = _Worker(index, self._generation, process, started=self._clock.monotonic())
        self._workers[index] = worker
        try:
            await self._introduce(worker, ours)
            return await process.wait()
        except OSError:
            return await process.wait()  # it has ended before it was told anything
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if worker.channel is not None:
                worker.channel.close()
            self._gone(worker)

    async def _introduce(self, worker: _Worker, sock: socket.socket) -> None:
        """Tell a worker who it is. Pickled: it is our own process, and these are our own types."""
        assert self._folder is not None  # noqa: S101  # made by `start`
        path = Path(self._folder.name) / f"{worker.index}-{worker.generation}.sock"
        blob = pickle.dumps((self.config, worker.index, str(path)))
        sock.sendall(struct.pack("!I", len(blob)) + blob)
        worker.channel = await Channel.over(
            sock, lambda message: self._received(worker, message), lambda: None
        )

    def _gone(self, worker: _Worker) -> None:
        """A worker has ended: hold its agents' names, and wait for it no more."""
        if self._workers.get(worker.index) is worker:
            del self._workers[worker.index]
        if worker.report is not None:
            self._past.add(worker.report["counts"])
        now = self._clock.monotonic()
        for ref in list(worker.links):
            self._publish_lost(self._registry.release(ref, now=now), is_held=True)
        self._tell_all({"op": "peer_gone", "worker": worker.index})
        for number in list(self._waiting):
            self._acknowledged(number, worker.index)
        self._changed.set()

    def _tell_all(self, message: Message) -> None:
        for worker in self._workers.values():
            if worker.channel is not None:
                worker.channel.send(message)

    # --- what workers say ---------------------------------------------------------------------

    def _received(self, worker: _Worker, message: Message) -> None:
        match message["op"]:
            case "ready":
                self._ready(worker, message)
            case "failed":
                self._failed = message["why"]
                self._changed.set()
            case "bind":
                self._bind(worker, message)
            case "unbind":
                ref = _Ref(worker.index, worker.generation, message["link"])
                place = self._registry.unbind(message["name"], ref)
                self._publish_lost([place] if place else [], is_held=False)
            case "lost":
                ref = _Ref(worker.index, worker.generation, message["link"])
                worker.links.discard(ref)
                places = self._registry.release(
                    ref, now=self._clock.monotonic(), is_held=message["is_held"]
                )
                self._publish_lost(places, is_held=message["is_held"])
            case "settled":
                for other in self._workers.values():
                    if other is not worker:
                        self._send(other, message)
            case "ack":
                self._acknowledged(message["number"], worker.index)
            case "report":
                worker.report = message
            case _:
                logger.error("a worker says what is not known here %s", Values(op=message["op"]))

    def _ready(self, worker: _Worker, message: Message) -> None:
        """Make it and the others known to each other, with all names there are."""
        assert self._folder is not None  # noqa: S101  # made by `start`
        self.url, self.tunnels_url = message["url"], message["tunnels_url"]
        channel = worker.channel
        assert channel is not None  # noqa: S101  # it has just spoken
        for other in self._workers.values():
            if other is not worker and other.is_ready and other.channel is not None:
                other.channel.send(self._peer(worker))
                channel.send(self._peer(other))
        for place, found in self._registry.items():
            channel.send(_bound(place, found.link, found.protocol))
        worker.is_ready = True
        self._changed.set()
        logger.info("worker ready %s", Values(worker=worker.index, pid=worker.process.pid))

    def _peer(self, worker: _Worker) -> Message:
        assert self._folder is not None  # noqa: S101  # made by `start`
        path = Path(self._folder.name) / f"{worker.index}-{worker.generation}.sock"
        return {"op": "peer", "worker": worker.index, "path": str(path)}

    def _bind(self, worker: _Worker, message: Message) -> None:
        ref = _Ref(worker.index, worker.generation, message["link"])
        answer: Granted[_Ref] | NotGranted
        token = self._gate.tokens.find(message["token"])
        if token is None:
            self._gate.look()  # the worker may have seen the file before us
            token = self._gate.tokens.find(message["token"])
        if token is None:
            answer = NotGranted("name_reserved", "the token of this session has ended")
        else:
            known, tokens = token, self._gate.tokens
            answer = self._registry.bind(
                message["name"],
                Owner(token.id, message["agent"]),
                ref,
                now=self._clock.monotonic(),
                random=self._random,
                may_have=lambda place: tokens.may_have(known, place),
                tunnels_max=tunnels_max(token, self.config.limits.tunnels_per_token_max),
                protocol=message["protocol"],
            )
        reply = {"op": "answer", "number": message["number"]}
        if isinstance(answer, NotGranted):
            reply |= {"code": answer.code, "message": answer.message}
            self._send(worker, reply)
            return
        worker.links.add(ref)
        reply |= {"host": answer.place.host, "name": answer.place.name}
        replaced = answer.replaced
        self._when_known(
            _bound(answer.place, ref, message["protocol"]),
            worker,
            lambda: self._granted(worker, reply, replaced),
        )

    def _granted(self, worker: _Worker, reply: Message, replaced: _Ref | None) -> None:
        self._send(worker, reply)
        if replaced is None:
            return
        old = self._workers.get(replaced.worker)
        if old is not None and old.generation == replaced.generation:
            self._send(old, {"op": "replaced", "link": replaced.link})

    def _send(self, worker: _Worker, message: Message) -> None:
        if worker.channel is not None:
            worker.channel.send(message)

    # --- names, told to all -------------------------------------------------------------------

    def _when_known(self, message: Message, owner: _Worker, then: Callable[[], None]) -> None:
        """Tell the other workers, and go on when all of them know."""
        others = {worker.index for worker in self._workers.values() if worker.is_ready}
        others.discard(owner.index)
        self._next_ack += 1
        number = self._next_ack
        self._tell_all({**message, "number": number})
        if not others:
            then()
            return
        self._waiting[number] = _Waiting(others, then)
        asyncio.get_running_loop().call_later(ACK_SECONDS, self._wait_no_more, number)

    def _acknowledged(self, number: int, index: int) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None:
            waiting.workers.discard(index)
            if not waiting.workers:
                self._wait_no_more(number)

    def _wait_no_more(self, number: int) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting.then()

    def _publish_lost(self, places: list[Place], *, is_held: bool) -> None:
        for place in places:
            if is_held and self.config.hold_seconds:
                self._tell_all({"op": "held", "host": place.host})
            else:
                self._tell_all({"op": "free", "host": place.host})

    async def _look(self) -> None:
        """Free what was held long enough."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for host in self._registry.forget_expired(self._clock.monotonic()):
                self._tell_all({"op": "free", "host": host})

    # --- numbers ------------------------------------------------------------------------------

    def _counts(self) -> Counts:
        total = Counts()
        total.add(self._past.as_dict())
        for worker in self._workers.values():
            if worker.report is not None:
                total.add(worker.report["counts"])
        return total

    def _gauges(self) -> Gauges:
        reports = [worker.report for worker in self._workers.values() if worker.report]
        return Gauges(
            sessions=sum(report["sessions"] for report in reports),
            tunnels=len(self._registry),
            connections=sum(report["connections"] for report in reports),
            streams=sum(report["streams"] for report in reports),
            tokens=len(self._gate.tokens),
            is_token_file_valid=self._gate.is_file_valid,
            is_ready=self.why_not_ready() is None,
            workers=len(self._workers),
        )

    # --- inside -------------------------------------------------------------------------------

    def _has_started(self) -> bool:
        """All workers are ready, or one says that it cannot be."""
        ready = sum(worker.is_ready for worker in self._workers.values())
        return ready == self.config.workers or self._failed is not None

    def _is_ending(self) -> bool:
        return self._is_draining or self._failed is not None

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _go(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _bound(place: Place, ref: _Ref | None, protocol: str) -> Message:
    return {
        "op": "bound",
        "host": place.host,
        "name": place.name,
        "worker": ref.worker if ref is not None else None,
        "protocol": protocol,
    }


def _reserve(host: str, port: int) -> socket.socket:
    """Return a socket that has the port, so that port 0 is one port for all workers."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


@asynccontextmanager
async def running_supervisor(
    config: RelayConfig, command: Sequence[str]
) -> AsyncIterator[Supervisor]:
    """Run a relay of several processes for the length of a with-block; leaving it drains."""
    supervisor = Supervisor(config, command)
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()
