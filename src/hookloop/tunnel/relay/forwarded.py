"""
Who a caller is, and what the app is told of it: X-Forwarded-*, by trusted-proxy rules. Pure.

A public relay trusts nobody: what a caller claims of itself is replaced. Behind proxies of
one's own the rules are nginx's `real_ip_recursive`: from the right, each address that is a
trusted proxy's may say who came before it, and the first that is not is the caller's.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from hookloop.exchange import Headers, RequestHead

from .http_head import HOPS_HEADER, Admitted

__all__ = ["Caller", "Proxies", "forwarded"]

ADDRESSES_MAX = 20  # of a chain of proxies that is looked at; nobody has so many
KNOWN_MAX = 10_000  # addresses whose verdict is remembered
_SCHEMES = frozenset({b"http", b"https"})


class Caller(NamedTuple):
    """What is passed on of a request, and whose it is."""

    head: RequestHead
    host: str
    """The caller's address, without a port."""


class Proxies:
    """The trusted ones."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def is_trusted(self, host: str) -> bool:
        """Say whether *host* is the address of a trusted proxy. Text that is none is not."""
        if not self._networks:
            return False
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            known = self._known[host] = self._look_up(host)
        return known

    def _look_up(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def forwarded(admitted: Admitted, *, peer: str, scheme: str, proxies: Proxies) -> Caller:
    """Say where a request came from. *peer* is the address that it came in from."""
    if proxies and proxies.is_trusted(peer):
        return _through_proxy(admitted, peer, scheme, proxies)
    added = (
        (b"X-Forwarded-For", peer.encode()),
        (b"X-Forwarded-Proto", scheme.encode()),
        (b"X-Forwarded-Host", admitted.host_field),
        (HOPS_HEADER, b"%d" % (admitted.hops + 1)),
    )
    head = admitted.head
    return Caller(RequestHead(head.method, head.target, head.headers + added), peer)


def _through_proxy(admitted: Admitted, peer: str, scheme: str, proxies: Proxies) -> Caller:
    """A trusted proxy's words are believed, and it is added to them."""
    claims = admitted.claims
    chain = _chain(claims, peer, proxies)
    proto = _last(claims, b"x-forwarded-proto").lower()
    if proto not in _SCHEMES:
        proto = scheme.encode()
    added: list[tuple[bytes, bytes]] = [
        (b"X-Forwarded-For", ", ".join(chain).encode()),
        (b"X-Forwarded-Proto", proto),
        (b"X-Forwarded-Host", _last(claims, b"x-forwarded-host") or admitted.host_field),
        (HOPS_HEADER, b"%d" % (admitted.hops + 1)),
    ]
    if port := _last(claims, b"x-forwarded-port"):
        added.append((b"X-Forwarded-Port", port))
    if elements := _values(claims, b"forwarded"):
        element = _element(peer, scheme, admitted.host_field)
        added.append((b"Forwarded", b", ".join([*elements, element])))
    head = admitted.head
    return Caller(RequestHead(head.method, head.target, head.headers + tuple(added)), chain[0])


def _chain(headers: Headers, peer: str, proxies: Proxies) -> list[str]:
    """
    Return the addresses from the caller to *peer*.

    What stands before the caller's own address is its claim, and nobody's who is trusted.
    """
    claimed = b",".join(_values(headers, b"x-forwarded-for")).split(b",")
    chain = [peer]
    for item in reversed(claimed[-ADDRESSES_MAX:]):
        address = _address(item)
        if address is None:
            break
        chain.insert(0, address)
        if not proxies.is_trusted(address):
            break
    return chain


def _address(item: bytes) -> str | None:
    """Return an address as some proxies write it, ``1.2.3.4:80`` or ``[::1]:80``; None: none."""
    text = item.strip().decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def _element(peer: str, scheme: str, host_field: bytes) -> bytes:
    """Return what RFC 7239 says of one hop."""
    node = f'"[{peer}]"' if ":" in peer else peer
    host = host_field.decode("latin-1").replace('"', "")
    return f'for={node};host="{host}";proto={scheme}'.encode("latin-1")


def _last(headers: Headers, name: bytes) -> bytes:
    values = _values(headers, name)
    return values[-1].rpartition(b",")[2].strip() if values else b""


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]
