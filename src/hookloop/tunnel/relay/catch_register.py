"""Which hosts a relay catches for, over its restarts: a small file, replaced as a whole."""

import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hookloop.errors import ConfigError, StoreError

__all__ = ["REGISTERED_SECONDS", "SEEN_SECONDS", "Register", "Registered"]

REGISTERED_SECONDS = 7 * 24 * 3600.0
"""After so long without its agent a tunnel is over, and its senders should see that it is."""

SEEN_SECONDS = 3600.0
"""How exactly it is known when an agent was last there."""

REGISTERED_PER_TOKEN_MAX = 32
"""As many as an agent may have tunnels; one more takes the place of the longest gone."""

FILE_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Registered:
    """One host whose requests are kept while its agent is away."""

    host: str
    name: str
    """What the wire calls the tunnel."""
    token: str
    """The id of its owner's token: only that gets what was caught."""
    status: int
    paths: tuple[str, ...]
    seen_at: float
    """Unix seconds, when an agent last bound it."""


class Register:
    """
    The hosts in the file *path*. Raises `ConfigError` for one that is not such a file.

    Each change is on the disk when its method returns. Raises `StoreError` where it cannot be.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hosts = self._read()

    def find(self, host: str, *, now: float) -> Registered | None:
        """Return whose *host* is, if it is caught for."""
        registered = self._hosts.get(host)
        if registered is None or now - registered.seen_at > REGISTERED_SECONDS:
            return None
        return registered

    def everything(self) -> list[Registered]:
        return list(self._hosts.values())

    def put(self, registered: Registered, *, now: float) -> None:
        """Catch for a host, in place of whom it was caught for before."""
        known = self._hosts.get(registered.host)
        is_same = known and replace(known, seen_at=registered.seen_at) == registered
        if known and is_same and now - known.seen_at < SEEN_SECONDS:
            return  # a thousand agents that come back at once are not a thousand flushes
        hosts = {
            host: known
            for host, known in self._hosts.items()
            if now - known.seen_at <= REGISTERED_SECONDS and host != registered.host
        }
        mine = sorted(
            (known for known in hosts.values() if known.token == registered.token),
            key=lambda known: known.seen_at,
        )
        for known in mine[: max(0, len(mine) + 1 - REGISTERED_PER_TOKEN_MAX)]:
            del hosts[known.host]
        self._write({**hosts, registered.host: registered})

    def seen(self, hosts: Collection[str], *, now: float) -> None:
        """The agents of *hosts* are there now."""
        seen = {host: replace(self._hosts[host], seen_at=now) for host in hosts}
        if seen:
            self._write({**self._hosts, **seen})

    def remove(self, host: str) -> None:
        """Catch for it no longer."""
        if host in self._hosts:
            self._write({key: known for key, known in self._hosts.items() if key != host})

    def _read(self) -> dict[str, Registered]:
        try:
            if self._path.stat().st_size > FILE_BYTES_MAX:
                raise ConfigError(f"{self._path} is over {FILE_BYTES_MAX} bytes: not ours")
            rows = json.loads(self._path.read_text())["hosts"]
            known = [Registered(**{**row, "paths": tuple(row["paths"])}) for row in rows]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"{self._path} cannot be read as the relay's list of caught hosts ({error}): move "
                "it away, and agents will make it anew"
            ) from error
        return {registered.host: registered for registered in known}

    def _write(self, hosts: dict[str, Registered]) -> None:
        text = json.dumps({"hosts": [asdict(known) for known in hosts.values()]}, indent=1)
        new = self._path.with_suffix(".new")
        try:
            with new.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}") from error
        self._hosts = hosts
