"""
What a request says, wherever it says it: in its query, a form, JSON or a multipart body.

All of it becomes `Params`, whose leaves are strings, so that what comes after reads one
thing. The first API takes forms, and a file with its upload; the second one takes JSON.
"""

import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import quote

from .errors import ApiError
from .params import DEPTH_MAX, PAIRS_MAX, Params, ParamsError, Value, decode_form

__all__ = ["read_params"]

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data"


def read_params(path: str, query: bytes, body: bytes, *, content_type: str | None) -> Params:
    """Return what query and body say; the body has the last word. Raises `ApiError`."""
    try:
        params = decode_form(query)
        if body:
            params.update(_decoded(path, body, content_type))
    except ParamsError as error:
        raise ApiError(400, str(error), param=error.param) from None
    return params


def _decoded(path: str, body: bytes, content_type: str | None) -> Params:
    kind = (content_type or "").partition(";")[0].strip().lower()
    if path.startswith("/v2/"):
        # An empty call of the command line's says it is a form; there is nothing in it to misread.
        return _decode_json(body) if kind == JSON else _refuse(JSON)
    if kind in ("", FORM):
        return decode_form(body)
    if kind == MULTIPART and path == "/v1/files":
        return _decode_multipart(body, content_type or "")
    return _refuse(FORM)


def _refuse(wanted: str) -> Params:
    raise ApiError(400, f"Invalid request (check that your POST content type is {wanted}).")


def _decode_json(body: bytes) -> Params:
    try:
        value = json.loads(body)
        leaves = _Leaves()
        params = leaves.of(value, 0)
    except (ValueError, RecursionError):
        raise ParamsError("Invalid request: the body is no valid JSON.") from None
    if not isinstance(params, dict):
        raise ParamsError("Invalid request: the body must be a JSON object.")
    return params


class _Leaves:
    """Turns JSON values into those a form would have had."""

    def __init__(self) -> None:
        self._count = 0

    def of(self, value: Any, depth: int) -> Value:
        self._count += 1
        if depth > DEPTH_MAX or self._count > PAIRS_MAX:
            raise ParamsError(
                f"Invalid request: the body has more than {DEPTH_MAX} levels or {PAIRS_MAX} values."
            )
        match value:
            case dict():
                return {name: self.of(item, depth + 1) for name, item in value.items()}
            case list():
                return [self.of(item, depth + 1) for item in value]
            case None:
                return ""  # what empties a parameter in a form
            case bool():
                return "true" if value else "false"
        return str(value)


def _decode_multipart(body: bytes, content_type: str) -> Params:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise ParamsError("Invalid request: the multipart body has no parts.")
    files: Params = {}
    pairs = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes):
            raise ParamsError("Invalid request: a part of the multipart body has no name.")
        filename = part.get_filename()
        if filename is None:
            pairs.append(f"{quote(name)}={quote(content)}")
        else:
            files[name] = {
                "filename": filename,
                "type": part.get_content_type(),
                "content": content.decode("latin-1"),
            }
    return {**decode_form("&".join(pairs).encode()), **files}
