"""Where every name of a relay with workers is, as each worker knows it. Pure."""

from dataclasses import dataclass, replace

from .names import wildcards_of

__all__ = ["Directory", "Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A name's place."""

    host: str
    """The key it was bound by: a host, or ``*.`` and what all its hosts are below."""
    name: str
    worker: int | None
    """Which worker has its agent; None: the agent was lost, and the name is held for it."""
    protocol: str = "http"


class Directory:
    """A copy of what the supervisor's registry says, without owners."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._wildcards = 0

    def __len__(self) -> int:
        """Return how many lead to a worker."""
        return sum(entry.worker is not None for entry in self._entries.values())

    def set(self, entry: Entry) -> None:
        """A name was bound, or is held."""
        self.remove(entry.host)
        self._entries[entry.host] = entry
        self._wildcards += entry.host.startswith("*")

    def hold(self, host: str) -> None:
        """The agent of a name was lost, and is expected back."""
        if entry := self._entries.get(host):
            self._entries[host] = replace(entry, worker=None)

    def remove(self, host: str) -> None:
        """A name is free."""
        if self._entries.pop(host, None) is not None:
            self._wildcards -= host.startswith("*")

    def find(self, host: str) -> Entry | None:
        """Return where *host* leads, the most specific name first."""
        entry = self._entries.get(host)
        if entry is None and self._wildcards:
            candidates = (self._entries.get(wildcard) for wildcard in wildcards_of(host))
            entry = next(filter(None, candidates), None)
        return entry
