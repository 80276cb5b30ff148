"""The WSGI face: for gunicorn, uWSGI and mod_wsgi, alone or under a dispatcher."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from .incoming import read_length
from .receive import Rejected, judge_head, too_large

if TYPE_CHECKING:
    from .receiver import Receiver

__all__ = ["WsgiFace"]

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]


class WsgiFace:
    """A WSGI application that answers webhooks at whatever path it is asked."""

    def __init__(self, receiver: "Receiver") -> None:
        self._receiver = receiver

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = _read(environ, self._receiver.body_bytes_max)
        if isinstance(body, Rejected):
            result = self._receiver.refuse(body)
        else:
            path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            result = self._receiver.receive(body, _headers(environ), path=path)
        headers = [*result.headers, ("Content-Length", str(len(result.body)))]
        start_response(result.status_line, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [result.body]


def _read(environ: Environ, most: int) -> bytes | Rejected:
    """Return the body, or a refusal; the server drops what is left unread."""
    announced = environ.get("CONTENT_LENGTH")
    refused = judge_head(environ["REQUEST_METHOD"], announced, most)
    if refused is not None:
        return refused
    length = read_length(announced)
    if length is None and not environ.get("wsgi.input_terminated"):
        return b""  # nothing announced: reading on would wait for ever
    stream = environ["wsgi.input"]
    # read(n) of a socket may give less than n: ask until there is no more.
    wanted = most + 1 if length is None else length
    chunks = []
    while wanted and (chunk := stream.read(wanted)):
        chunks.append(chunk)
        wanted -= len(chunk)
    body = b"".join(chunks)
    return body if len(body) <= most else too_large(most)


def _headers(environ: Environ) -> list[tuple[str | bytes, str | bytes]]:
    """Return the headers under their lower case names; the server has joined duplicates."""
    headers: list[tuple[str | bytes, str | bytes]] = [
        (name.removeprefix("HTTP_").replace("_", "-").lower(), value)
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    ]
    headers.append(("content-length", environ.get("CONTENT_LENGTH") or ""))
    return headers
