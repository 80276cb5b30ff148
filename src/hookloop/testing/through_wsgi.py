"""Into a WSGI application and out again, with the environ a server would make."""

import io
import sys
from typing import Any
from urllib.parse import unquote_to_bytes

from .answer import Answer
from .signed_request import SignedRequest

__all__ = ["joined_headers", "through_wsgi"]


def through_wsgi(app: Any, request: SignedRequest, method: str, path: str) -> Answer:
    """Call *app* once and return what it answered."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
        started.append((status, headers))
        return written.append

    try:
        chunks = app(_environ(request, method, path), start_response)
        try:
            written.extend(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
    except Exception as error:  # the app's own, and any: a server answers 500 and lives on
        return Answer(500, [], b"Internal Server Error", error=error)
    # The last one counts: an app may start again for an error it meets on the way.
    status, headers = started[-1]
    return Answer(int(status.partition(" ")[0]), headers, b"".join(written))


def joined_headers(request: SignedRequest) -> dict[str, str]:
    """Return the headers by name; what came twice is joined by a comma, as servers do."""
    joined: dict[str, str] = {}
    for name, value in request.headers:
        key = name.title()
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined


def _environ(request: SignedRequest, method: str, path: str) -> dict[str, Any]:
    raw_path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(raw_path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "testserver",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,  # it ends where the body does, as gunicorn's
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in joined_headers(request).items():
        key = name.upper().replace("-", "_")
        is_own = key in ("CONTENT_TYPE", "CONTENT_LENGTH")
        environ[key if is_own else f"HTTP_{key}"] = value
    return environ
