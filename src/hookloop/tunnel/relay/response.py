"""
How an answer is framed for a caller. Pure: heads and body in, bytes out.

The agent is not trusted: what it says of the body's length is held against the
body it sends, and a body that does not keep its word is never ended cleanly.
"""

from collections.abc import Sequence
from http import HTTPStatus

from hookloop.errors import ProtocolError
from hookloop.exchange import Headers, ResponseHead
from hookloop.tunnel.end_to_end import end_to_end, lower_names

from .http_head import passable_trailers
from .refusal import ERROR_HEADER

__all__ = ["ResponseWriter"]

_BODILESS = frozenset({204, 304})
_CONTENT_LENGTH = b"content-length"
_ERROR_HEADER = ERROR_HEADER.lower()


class ResponseWriter:
    """One response, from its head to its end."""

    def __init__(self, *, method: bytes, version: str, keep_alive: bool) -> None:
        self._is_head_request = method == b"HEAD"
        self._version = version
        self.keep_alive = keep_alive
        """Whether the connection may serve another request; settled once the head is written."""
        self.is_cut_visible = True
        """
        A caller can tell a cut body from a whole one: not where only the end of the
        connection ends it.
        """
        self._is_chunked = False
        self._has_body = True
        self._left: int | None = None
        """Body bytes that Content-Length still promises."""

    def interim(self, head: ResponseHead) -> bytes:
        """Return a 1xx head; nothing for HTTP/1.0, which does not know them."""
        if self._version == "1.0":
            return b""
        headers = end_to_end(head.headers, lower_names(head.headers))
        headers = _without(_CONTENT_LENGTH, _without(_ERROR_HEADER, headers))
        return _encode_head(head.status, head.reason, headers)

    def switching(self, head: ResponseHead, protocols: bytes) -> bytes:
        """Return the 101 that ends HTTP on this connection, and changes to *protocols*."""
        headers = end_to_end(head.headers, lower_names(head.headers))
        headers = _without(_CONTENT_LENGTH, _without(_ERROR_HEADER, headers))
        headers += ((b"Connection", b"Upgrade"), (b"Upgrade", protocols))
        return _encode_head(head.status, head.reason, headers)

    def head(self, head: ResponseHead, *, is_own: bool = False) -> bytes:
        """
        Return the final head. *is_own*: it is the relay's answer, not an upstream's.

        Raises `ProtocolError` for a Content-Length that makes no sense.
        """
        headers, names = head.headers, lower_names(head.headers)
        length = _content_length(headers, names)
        if not is_own:
            headers = end_to_end(headers, names)
            if _ERROR_HEADER in names:
                headers = _without(_ERROR_HEADER, headers)
        if head.status == HTTPStatus.NO_CONTENT:
            headers = _without(_CONTENT_LENGTH, headers)  # RFC 9110 section 8.6: never there
        self._has_body = not self._is_head_request and head.status not in _BODILESS
        if self._has_body:
            self._left = length
            self.is_cut_visible = self._version == "1.1" or length is not None
            self._is_chunked = length is None and self._version == "1.1"
            if self._is_chunked:
                headers += ((b"Transfer-Encoding", b"chunked"),)
            elif length is None:
                self.keep_alive = False  # HTTP/1.0: only the end of the connection ends the body
        if not self.keep_alive:
            headers += ((b"Connection", b"close"),)
        elif self._version == "1.0":
            headers += ((b"Connection", b"keep-alive"),)
        return _encode_head(head.status, head.reason, headers)

    def data(self, data: bytes) -> Sequence[bytes]:
        """Return buffers to write. Raises `ProtocolError` for more than Content-Length says."""
        if not self._has_body or not data:
            return ()
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise ProtocolError("the response body is longer than its Content-Length")
        if self._is_chunked:
            return (b"%x\r\n" % len(data), data, b"\r\n")
        return (data,)

    def end(self, trailers: Headers = ()) -> bytes:
        """Return what ends the body. Raises `ProtocolError` where Content-Length says more."""
        if self._left:
            raise ProtocolError("the response body is shorter than its Content-Length")
        if not self._is_chunked:
            return b""
        fields = _without(_ERROR_HEADER, passable_trailers(trailers))
        return b"".join([b"0\r\n", *(b"%b: %b\r\n" % field for field in fields), b"\r\n"])


def _content_length(headers: Headers, names: list[bytes]) -> int | None:
    if _CONTENT_LENGTH not in names:
        return None
    value = headers[names.index(_CONTENT_LENGTH)][1].strip()
    if (
        names.count(_CONTENT_LENGTH) > 1 or not value.isdigit() or len(value) > 18
    ):  # 18 digits: an exabyte
        raise ProtocolError("the response has no single, whole Content-Length")
    return int(value)


def _without(name: bytes, headers: Headers) -> Headers:
    return tuple([header for header in headers if header[0].lower() != name])


def _encode_head(status: int, reason: bytes, headers: Headers) -> bytes:
    lines = [b"HTTP/1.1 %d %b" % (status, reason)]
    lines += [b": ".join(header) for header in headers]
    lines.append(b"\r\n")
    return b"\r\n".join(lines)
