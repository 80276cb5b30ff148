"""To a server that runs already, over a connection of its own."""

from urllib.parse import urlsplit

from hookloop.errors import ConfigError

from .answer import Answer
from .signed_request import SignedRequest

__all__ = ["through_http"]


def through_http(
    url: str, request: SignedRequest, method: str, path: str | None, wait_seconds: float
) -> Answer:
    """
    Send *request* to *url* and return the answer.

    *path* replaces the URL's own. Raises `ConfigError` for what is no ``http`` or ``https``
    URL, `TimeoutError` where nothing comes for *wait_seconds*, `OSError` where nothing listens.
    """
    from http.client import HTTPConnection, HTTPSConnection

    from .sending import PATH

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url!r} is no http:// or https:// URL, and no application either")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    own = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection = kind(parts.hostname, parts.port, timeout=wait_seconds)
    try:
        connection.putrequest(method, path or own or PATH, skip_accept_encoding=True)
        for name, value in request.headers:
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(request.body)
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()
