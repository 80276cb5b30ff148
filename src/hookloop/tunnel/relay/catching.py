"""The relay's catch mode: requests for tunnels whose agent is away, kept until it is back."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hookloop.clock import Clock
from hookloop.errors import ConfigError, StoreError
from hookloop.exchange import RequestHead
from hookloop.ledger.delivery import State
from hookloop.ledger.store import FIND_MAX, Selection
from hookloop.tunnel.catch.box import CatchBox
from hookloop.tunnel.catch.file import CatchFile
from hookloop.tunnel.catch.observer import CatchEvent, Caught, Delivered, NotCaught, Postponed
from hookloop.tunnel.catch.rules import CatchRules
from hookloop.tunnel.log_values import Values
from hookloop.tunnel.room import Room
from hookloop.tunnel.wire.messages import Bind, CatchWish

from .catch_app import TunnelApp
from .catch_link import HELD_BYTES_MAX, CatchLink
from .catch_register import SEEN_SECONDS, Register, Registered

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Catching"]

logger = logging.getLogger("hookloop.relay")

BODY_BYTES_MAX = 1024 * 1024
"""Of one request. A relay catches for many, and for anybody who knows a name."""

REQUESTS_MAX = 1000
BYTES_MAX = 64 * 1024 * 1024
"""Waiting for one tunnel."""

ALL_BYTES_MAX = 1024 * 1024 * 1024
"""Waiting for all tunnels of the relay."""


class Catching:
    """
    One relay's. Between `start` and `stop`.

    *link_of* returns the link that a host leads to at the moment.
    """

    def __init__(
        self, folder: Path, link_of: "Callable[[str], Link | None]", *, clock: Clock
    ) -> None:
        """Raises `ConfigError` or `StoreError` where what is caught could not be kept."""
        self._link_of = link_of
        self._clock = clock
        self._file = CatchFile(folder, "relay", clock=clock)
        self._register = Register(folder / "hosts.json")
        self._held = Room(HELD_BYTES_MAX)
        self._boxes: dict[str, tuple[CatchBox, CatchLink]] = {}
        """By host and token."""
        self._left: set[str] = set()
        """The keys of those boxes that were not empty at the start."""
        self._runs: set[asyncio.Future[None]] = set()
        if window := self._file.store.durability.loss_window:
            logger.warning("caught requests would be lost %s", Values(when=window))

    async def start(self) -> None:
        """Look what is left of the last time. Raises `StoreError` where that cannot be."""
        for state in (State.READY, State.LEASED):  # each line has one of them at its head
            after = 0
            while page := await self._file.store.find(
                Selection(state=state), limit=FIND_MAX, after=after
            ):
                self._left |= {delivery.target for delivery in page}
                after = page[-1].id
        for registered in self._register.everything():
            box, _ = self._box_of(registered)
            await box.wait_looked()
        self._run(self._keep_seen())

    async def stop(self) -> None:
        """Let go; what waits stays on the disk."""
        for run in self._runs:
            run.cancel()
        if self._runs:
            await asyncio.wait(self._runs)
        await self._file.close()

    def bound(self, host: str, name: str, token: str, bind: Bind) -> None:
        """An agent has the host now; from here on its wish is what counts."""
        try:
            if bind.catch is None or bind.name is None:
                # A name that the relay has made up does not come back.
                self._register.remove(host)
                return
            registered = self._registered(host, name, token, bind.catch)
            self._register.put(registered, now=self._clock.wall())
            self._box_of(registered)
        except (ConfigError, StoreError) as error:
            logger.warning("tunnel not caught for %s", Values(tunnel=name, reason=str(error)))

    def link_for(self, host: str, head: RequestHead) -> tuple[str, CatchLink] | None:
        """
        Return the tunnel's name and where its request goes; None where it is not to be kept.

        It is where its agent is away, and where older ones wait for the agent that is back.
        """
        registered = self._register.find(host, now=self._clock.wall())
        if registered is None:
            return None
        box, link = self._box_of(registered)
        if not box.rules.want(head):
            return None
        is_online = self._link_of_owner(registered) is not None
        if is_online and not box.has_line:
            return None
        return registered.name, link

    # --- CatchObserver ----------------------------------------------------------------------

    def catch_event(self, event: CatchEvent) -> None:
        match event:
            case Caught(tunnel, _, waiting):
                logger.info("caught %s", Values(tunnel=tunnel, waiting=waiting))
            case NotCaught(tunnel, _, reason):
                logger.warning("not caught %s", Values(tunnel=tunnel, reason=reason))
            case Delivered(tunnel, _, status, _, age, waiting):
                values = Values(tunnel=tunnel, status=status, age=round(age, 1), waiting=waiting)
                logger.info("caught delivered %s", values)
            case Postponed(tunnel, _, reason, _, waiting):
                values = Values(tunnel=tunnel, reason=reason, waiting=waiting)
                logger.info("caught postponed %s", values)

    # --- inside -----------------------------------------------------------------------------

    def _registered(self, host: str, name: str, token: str, wish: CatchWish) -> Registered:
        _rules(wish.status, wish.paths)  # raises for what cannot work
        return Registered(host, name, token, wish.status, wish.paths, self._clock.wall())

    def _box_of(self, registered: Registered) -> tuple[CatchBox, CatchLink]:
        key = f"{registered.host} {registered.token}"
        known = self._boxes.get(key)
        if known is not None:
            known[0].rules = _rules(registered.status, registered.paths)
            return known
        box = CatchBox(
            self._file.store,
            key,
            TunnelApp(lambda: self._link_of_owner(registered)),
            _rules(registered.status, registered.paths),
            clock=self._clock,
            observer=self,
            is_known_empty=key not in self._left,
        )
        self._run(box.run())
        self._boxes[key] = box, CatchLink(box, self._held, self._is_full)
        return self._boxes[key]

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        run = asyncio.ensure_future(work)
        self._runs.add(run)
        run.add_done_callback(self._ended)

    async def _keep_seen(self) -> None:
        """An agent may be there for weeks in one session: its week begins when it leaves."""
        while True:
            await asyncio.sleep(SEEN_SECONDS)
            online = [r.host for r in self._register.everything() if self._link_of_owner(r)]
            try:
                self._register.seen(online, now=self._clock.wall())
            except StoreError as error:
                logger.warning("caught hosts not kept %s", Values(reason=str(error)))

    def _link_of_owner(self, registered: Registered) -> "Link | None":
        """What was caught is its owner's: never another token's, who may have the name now."""
        link = self._link_of(registered.host)
        return link if link is not None and link.token.id == registered.token else None

    def _is_full(self) -> bool:
        waiting = sum(box.statistics().waiting_bytes for box, _ in self._boxes.values())
        return waiting > ALL_BYTES_MAX

    def _ended(self, run: asyncio.Future[None]) -> None:
        self._runs.discard(run)
        if not run.cancelled() and (error := run.exception()) is not None:
            logger.error("catch mode ended by a bug of ours", exc_info=error)


def _rules(status: int, paths: tuple[str, ...]) -> CatchRules:
    return CatchRules(
        status=status,
        paths=paths,
        body_bytes_max=BODY_BYTES_MAX,
        requests_max=REQUESTS_MAX,
        bytes_max=BYTES_MAX,
    )
