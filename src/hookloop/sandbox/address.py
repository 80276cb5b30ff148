"""Where the sandbox listens: the socket, and how clients write its address."""

import os
import socket

from hookloop.errors import ConfigError

__all__ = ["BACKLOG", "base_address", "bound_socket"]

BACKLOG = 1024  # Connections not yet accepted; a test suite may open hundreds at once.


def bound_socket(host: str, port: int) -> socket.socket:
    """
    Return a socket that listens on *host* and *port*; 0 takes a free one.

    The caller closes it. Raises `ConfigError` where the address is not to be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only for sockets that name their protocol, and
    # `socket.create_server` makes one that does not: every answer would wait 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two programs share the port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"the sandbox cannot listen on {host} port {port}: {error.strerror}. Stop what uses "
            "it, or choose another with --port (0 takes a free one)."
        ) from None
    return bound


def base_address(bound: socket.socket) -> str:
    """Return the address clients are given, without a slash at its end."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
