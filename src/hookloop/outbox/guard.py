"""
Which addresses a customer's URL may lead to: the public internet alone. Pure.

Whoever may register an endpoint could otherwise have this server post into its own network, to
a cloud's metadata service or a database beside it, and read the answer in the attempt's record.
The look is at the address that is connected to, not at the name: names change their mind.
"""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from hookloop.errors import ConfigError

__all__ = ["AddressGuard"]

_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")  # IPv4 in the last 32 bits, long deprecated


class AddressGuard:
    """Says which addresses are refused. Raises `ConfigError` for *allowed* that are no networks."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """*allowed*: private networks that may be posted to all the same, ``10.1.0.0/16``."""
        try:
            self._allowed = [ip_network(text) for text in allowed]
        except ValueError as error:
            raise ConfigError(f"an allowed network cannot be read: {error}") from None

    def refusal(self, address: str) -> str | None:
        """Return why nothing is sent to *address*, or None where it may be."""
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return "its address cannot be read"
        if any(ip in network for network in self._allowed if network.version == ip.version):
            return None
        inner = _inside(ip)
        if inner is not None:
            return self.refusal(str(inner))
        if ip.is_global and not ip.is_multicast and not ip.is_reserved:
            return None
        return "it is not a public address (allow_networks names private ones to be used)"

    def refusal_of_name(self, host: str) -> str | None:
        """Return why *host* is refused before it is looked up; None where its addresses decide."""
        try:
            ip_address(host)
        except ValueError:
            name = host.rstrip(".").lower()
            if name == "localhost" or name.endswith(".localhost"):
                return self.refusal("127.0.0.1")
            return None
        return self.refusal(host)


def _inside(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that *ip* is another spelling of, or a way to."""
    if isinstance(ip, IPv4Address):
        return None
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip in _NAT64 or (ip in _COMPATIBLE and int(ip) > 1):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return None
