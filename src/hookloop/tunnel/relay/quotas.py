"""How many connections an address has, and how many requests a name gets a second. Pure."""

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

__all__ = ["AddressQuota", "RateQuota"]

_PREFIX_BITS = 64  # what one customer of a provider has at least; the rest is theirs to choose


class AddressQuota:
    """Counts the connections of each address; IPv6 addresses of one /64 count together."""

    def __init__(self, most: int) -> None:
        """*most* of 0: any number."""
        self._most = most
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    def enter(self, host: str) -> str | None:
        """Count one more, and return what to `leave`; None: it has as many as it may."""
        key = _key(host)
        if self._most and self._counts[key] >= self._most:
            return None
        self._counts[key] += 1
        return key

    def leave(self, key: str) -> None:
        """Duty: once for each `enter` that returned *key*."""
        self._counts[key] -= 1
        if self._counts[key] <= 0:
            del self._counts[key]


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class RateQuota:
    """A bucket of requests for each name, which fills again by so many a second."""

    def __init__(self, per_second: float, burst: int) -> None:
        """*per_second* of 0: any number."""
        self._per_second = per_second
        self._burst = float(max(burst, 1))
        self._buckets: dict[str, _Bucket] = {}
        self._forget_at = 1024

    def take(self, name: str, now: float) -> float:
        """Take a request from the bucket; return 0, or the seconds until there is one."""
        if not self._per_second:
            return 0.0
        bucket = self._buckets.get(name)
        if bucket is None:
            self._forget_full(now)
            bucket = self._buckets[name] = _Bucket(self._burst, now)
        filled = bucket.left + (now - bucket.at) * self._per_second
        bucket.left, bucket.at = min(filled, self._burst), now
        if bucket.left < 1.0:
            return (1.0 - bucket.left) / self._per_second
        bucket.left -= 1.0
        return 0.0

    def _forget_full(self, now: float) -> None:
        """A full bucket is as good as none; looked for each time twice as many are there."""
        if len(self._buckets) < self._forget_at:
            return
        full_after = self._burst / self._per_second
        self._buckets = {
            name: bucket for name, bucket in self._buckets.items() if now - bucket.at < full_after
        }
        self._forget_at = max(1024, 2 * len(self._buckets))


def _key(host: str) -> str:
    if ":" not in host:
        return host
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return f"{int(address) >> (128 - _PREFIX_BITS):x}/64"
