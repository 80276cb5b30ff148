"""The catch boxes of an agent: one for each app that its tunnels in catch mode lead to."""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from hookloop.clock import Clock
from hookloop.exchange import CaptureSink
from hookloop.tunnel.catch.box import CatchBox, CatchStatistics
from hookloop.tunnel.catch.config import CatchConfig
from hookloop.tunnel.catch.observer import CatchObserver
from hookloop.tunnel.room import Room

from .catch_app import UpstreamApp
from .config import TunnelConfig

if TYPE_CHECKING:
    from hookloop.tunnel.catch.file import CatchFile

__all__ = ["CatchBoxes"]

logger = logging.getLogger("hookloop.catch")

KEPT_BYTES_MAX = 64 * 1024 * 1024
"""Bodies in memory until the app has begun to answer; beyond it requests are not caught."""


class CatchBoxes:
    """
    Opens the boxes, and runs them while the agent runs, whether it has a session or not.

    Two tunnels to one app share its line, if they keep it in the same folder.
    """

    def __init__(
        self, clock: Clock, sink: CaptureSink, observer: CatchObserver, *, keep_max: int = 0
    ) -> None:
        self._clock = clock
        self._sink = sink
        self.keep_max = keep_max
        """Bytes of each body that an `Exchange` holds on to."""
        self._observer = observer
        self.room = Room(KEPT_BYTES_MAX)
        """For the bodies of requests that may yet have to be caught."""
        self._boxes: dict[str, CatchBox] = {}
        """By the path of their files."""
        self._of_label: dict[str, CatchBox] = {}
        self._files: list[CatchFile] = []
        self._apps: list[UpstreamApp] = []
        self._runs: dict[asyncio.Task[None], str] = {}

    def add(self, config: TunnelConfig) -> None:
        """
        Catch for a tunnel, if it is in catch mode; in a running loop.

        Raises `ConfigError` or `StoreError` where what is caught could not be kept.
        """
        if config.catch is None:
            return
        from hookloop.tunnel.catch.file import default_folder  # who catches nothing needs no SQLite

        folder = (config.catch.folder or default_folder()).expanduser()
        key = f"{folder.resolve()} {config.upstream}"
        box = self._boxes.get(key)
        if box is None:
            box = self._boxes[key] = self._opened(config, config.catch, folder)
        self._of_label[config.label] = box

    async def wait_looked(self) -> None:
        """Return once it is known of each box whether something waits in it."""
        for box in self._boxes.values():
            await box.wait_looked()

    def of(self, label: str) -> CatchBox | None:
        """Return the box of the tunnel *label*, or None where it catches nothing."""
        return self._of_label.get(label)

    def statistics(self) -> dict[str, CatchStatistics]:
        """Return a moment's counts by the tunnel's label."""
        return {label: box.statistics() for label, box in self._of_label.items()}

    async def close(self) -> None:
        """Stop; what waits stays where it is, for the next time."""
        for run in self._runs:
            run.cancel()
        if self._runs:
            await asyncio.wait(self._runs)
        for app in self._apps:
            app.close()
        for file in self._files:
            await file.close()

    def _opened(self, config: TunnelConfig, catch: CatchConfig, folder: Path) -> CatchBox:
        from hookloop.tunnel.catch.file import CatchFile

        name = str(config.upstream)
        file = CatchFile(folder, name, clock=self._clock)
        self._files.append(file)
        if window := file.store.durability.loss_window:
            logger.warning("caught requests would be lost: %s", window)
        app = UpstreamApp(config, self._clock, self._sink, keep_max=self.keep_max)
        self._apps.append(app)
        box = CatchBox(
            file.store, name, app, catch.rules, clock=self._clock, observer=self._observer
        )
        # Beyond the sessions, whose task groups end with them.
        run = asyncio.ensure_future(box.run())
        run.add_done_callback(self._ended)
        self._runs[run] = name
        return box

    def _ended(self, run: asyncio.Future[None]) -> None:
        if not run.cancelled() and (error := run.exception()) is not None:
            logger.error("catch mode ended by a bug of ours", exc_info=error)
