"""Keeps the certificates of a relay fresh: asks for those that are missing or due, one by one."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import SystemRandom

from hookloop.clock import Clock
from hookloop.errors import ConfigError
from hookloop.tunnel.log_values import Values

from .acme_schedule import RATE_LIMITED_SECONDS, renew_at, retry_seconds
from .acme_settings import AcmeSettings
from .acme_store import AcmeStore
from .certificates import Certificate, load_certificate
from .tls_settings import CertificateFiles

__all__ = ["AcmeKeeper"]

logger = logging.getLogger("hookloop.relay")

LOOK_SECONDS_MAX = 3600.0  # the wall clock may be set, and a machine may sleep
OTHERS_SECONDS = 60.0  # what another process may take for all its certificates
STOP_SECONDS = 5.0  # for a try that is under way to take its proofs away


class AcmeKeeper:
    """Runs from `run` until it is cancelled."""

    def __init__(
        self,
        settings: AcmeSettings,
        on_renewed: Callable[[], Awaitable[None]],
        *,
        clock: Clock,
        jitter: Callable[[], float] | None = None,
    ) -> None:
        """Raises `ConfigError` when the extra is not installed or the folder cannot be used."""
        try:
            from .acme_client import AcmeClient
        except ModuleNotFoundError as error:
            raise ConfigError(
                "certificates by ACME need an extra: pip install 'hookloop[acme]'"
            ) from error
        try:
            self.store = AcmeStore(settings.folder, settings.directory_url)
        except OSError as error:
            raise ConfigError(
                f"cannot keep certificates in {settings.folder}: {error.strerror}; choose another "
                "--acme-dir"
            ) from error
        self._names = settings.names
        self._on_renewed = on_renewed
        self._clock = clock
        self._jitter = jitter or SystemRandom().random
        self._client = AcmeClient(settings, self.store, clock=clock)
        self._failures: dict[tuple[str, ...], int] = {}
        now = self._now()
        self._due = {names: self._when_due(names) or now for names in self._names}

    async def run(self) -> None:
        """Never returns. Whatever goes wrong is logged and tried again."""
        try:
            while True:
                for names, due in list(self._due.items()):
                    if due <= self._now():
                        self._due[names] = await self._try(names)
                wait = (min(self._due.values()) - self._now()).total_seconds()
                await asyncio.sleep(min(max(wait, 0.0), LOOK_SECONDS_MAX))
        finally:
            self._client.stop()

    async def _try(self, names: tuple[str, ...]) -> datetime:
        try:
            return await self._renew(names)
        except OSError as error:  # of the store: a disk that is full or away
            return self._failed(names, error)

    async def _renew(self, names: tuple[str, ...]) -> datetime:
        """Fetch a certificate, and return when to do so next."""
        with self.store.claimed() as is_ours:
            if is_ours:
                return await self._renew_ours(names)
        # Another process of this relay is at it: see later what has come of it.
        await self._on_renewed()
        later = self._now() + timedelta(seconds=OTHERS_SECONDS)
        return max(self._when_due(names) or later, later)

    async def _renew_ours(self, names: tuple[str, ...]) -> datetime:
        due = self._when_due(names)
        if due is not None and due > self._now():  # since another process did it meanwhile
            await self._on_renewed()
            return due
        error = await _in_thread(lambda: self._client.obtain(names), self._client.stop)
        if error is not None:
            return self._failed(names, error)
        self._failures.pop(names, None)
        await self._on_renewed()
        due = self._when_due(names)
        if due is None:
            return self._failed(names, ConfigError("what was stored cannot be read again"))
        logger.info("certificate issued %s", Values(names=",".join(names), renewed_from=due.date()))
        return due

    def _failed(self, names: tuple[str, ...], error: BaseException) -> datetime:
        failures = self._failures[names] = self._failures.get(names, 0) + 1
        wait = retry_seconds(failures, self._jitter())
        if getattr(error, "is_rate_limited", False):
            wait = max(wait, RATE_LIMITED_SECONDS)
        values = Values(names=",".join(names), retry_seconds=round(wait), reason=error)
        logger.error("certificate not issued %s", values)
        return self._now() + timedelta(seconds=wait)

    def _when_due(self, names: tuple[str, ...]) -> datetime | None:
        """Return when the stored certificate is to be renewed; None where there is none."""
        path = self.store.certificate_path(names)
        if not path.exists():
            return None
        try:
            certificate: Certificate = load_certificate(CertificateFiles(path, path))
        except (ConfigError, OSError) as error:
            logger.warning("certificate is fetched anew %s", Values(reason=error))
            return None
        return renew_at(certificate.not_before, certificate.not_after, self._jitter())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall(), UTC)


async def _in_thread(work: Callable[[], None], stop: Callable[[], None]) -> BaseException | None:
    """
    Run *work*, which blocks, and return what it raised.

    Its thread is a daemon, and not of the loop's pool: a relay that ends waits a few
    seconds for it to clean up, and not for an authority that does not answer.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[BaseException | None] = loop.create_future()

    def tell(outcome: BaseException | None) -> None:
        if not done.done():
            done.set_result(outcome)

    def run() -> None:
        outcome: BaseException | None = None
        try:
            work()
        except Exception as error:  # handed to whoever waits
            outcome = error
        with suppress(RuntimeError):  # the loop has ended, and nobody waits
            loop.call_soon_threadsafe(tell, outcome)

    threading.Thread(target=run, name="hookloop-acme", daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait({done}, timeout=STOP_SECONDS)
        raise
