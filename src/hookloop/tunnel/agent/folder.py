"""
A folder as an upstream: its files, served by starlette on a socket of this process's own.

The hop over that socket costs a tenth of a millisecond and keeps one path for all
upstreams: what is proved of a proxied app holds for files too.
"""

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from hookloop.errors import ConfigError
from hookloop.inner_server import InnerServer

from .address import Folder, Upstream

__all__ = ["running_folder"]

SHUTDOWN_SECONDS = 0.5  # for a file that is on its way; Ctrl+C must feel instant
_PUBLIC_DOTS = {".well-known"}  # RFC 8615: the one name with a dot that is meant to be seen


@contextlib.asynccontextmanager
async def running_folder(folder: Folder) -> AsyncIterator[Upstream]:
    """
    Serve the files of *folder* until the block ends.

    Types by their endings, index.html for a folder, ranges and revalidation; no file whose
    name or folder begins with a dot, and none that a link leads to from outside. Raises
    `ConfigError` where there is no such folder.
    """
    path = folder.path.resolve()
    if not path.is_dir():
        raise ConfigError(f"{folder.path} is no folder that can be served: is the path right?")
    site = Starlette(routes=[Mount("/", app=_PublicFiles(directory=path, html=True))])
    with _own_socket() as (listener, upstream):
        server = InnerServer(
            site,
            shutdown_seconds=SHUTDOWN_SECONDS,
            forwarded_allow_ips="*",  # only the agent can connect: redirects keep the scheme
        )
        failure: Exception | None = None
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            await server.listening.wait()
            try:
                yield replace(upstream, shown=str(folder.path))
            except Exception as error:
                failure = error  # raised again below, where the group cannot wrap it
            finally:
                server.should_exit = True
    if failure is not None:
        raise failure


@contextlib.contextmanager
def _own_socket() -> Iterator[tuple[socket.socket, Upstream]]:
    """Listen where nobody else on this machine can connect, as far as the system can do that."""
    if not hasattr(socket, "AF_UNIX"):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield listener, Upstream("127.0.0.1", listener.getsockname()[1])
        return
    with (
        tempfile.TemporaryDirectory(prefix="hookloop-") as private,  # readable by its owner alone
        socket.socket(socket.AF_UNIX) as listener,
    ):
        path = str(Path(private) / "files.sock")
        listener.bind(path)
        listener.listen(128)
        yield listener, Upstream("localhost", 80, socket_path=path)


class _PublicFiles(StaticFiles):
    """Starlette's, without what a name with a dot keeps to itself: .env, .git, .htpasswd."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        if _is_hidden(Path(path)) or "\0" in path:
            return "", None
        full_path, stat = super().lookup_path(path)
        if stat is None:
            return "", None
        # The real path as well: a link may be named otherwise than what it leads to.
        real = os.path.relpath(full_path, os.path.realpath(str(self.directory)))
        return ("", None) if _is_hidden(Path(real)) else (full_path, stat)


def _is_hidden(path: Path) -> bool:
    parts = set(path.parts) - {".", *_PUBLIC_DOTS}
    return any(part.startswith(".") for part in parts)
