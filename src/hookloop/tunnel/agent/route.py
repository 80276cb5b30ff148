"""Which of our addresses leads to the relay: it changes when the network does."""

import socket
from typing import Any

__all__ = ["ANYWHERE", "local_address"]

ANYWHERE = ("192.0.2.1", 9)
"""Stands for the world before the relay's address is known (RFC 5737; nothing is sent to it)."""


def local_address(peer: tuple[Any, ...]) -> str | None:
    """
    Return the address the kernel would send from to *peer*, or None where it knows no way.

    Connecting a datagram socket asks the routing table and sends nothing.
    """
    family = socket.AF_INET6 if len(peer) == 4 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect(peer)
            return str(asking.getsockname()[0])
    except OSError:
        return None
