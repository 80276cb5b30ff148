"""Where the sandbox listens: the socket, and how clients write its address."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from hookloop.errors import ConfigError

__all__ = ["BACKLOG", "base_address", "bound_socket", "unix_socket"]

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


@contextlib.contextmanager
def unix_socket(path: Path | None) -> Iterator[list[socket.socket]]:
    """
    Listen on the file *path*, if there is to be one, for this user alone; remove it at the end.

    A socket that nobody listens on any more is replaced; any other file is left as it is.
    Raises `ConfigError` where it cannot be.
    """
    if path is None:
        yield []
        return
    if not hasattr(socket, "AF_UNIX"):
        raise ConfigError("there are no Unix sockets on this system: leave --unix-socket out")
    if _is_abandoned(path):
        path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        try:
            bound.bind(str(path))
            path.chmod(0o600)
            bound.listen(BACKLOG)
        except OSError as error:
            raise ConfigError(
                f"the sandbox cannot listen on {path}: {error.strerror or error}. Choose another "
                "file with --unix-socket."
            ) from None
        try:
            yield [bound]
        finally:
            path.unlink(missing_ok=True)


def _is_abandoned(path: Path) -> bool:
    """Say whether *path* is a socket that nobody answers on."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return True
    return False
