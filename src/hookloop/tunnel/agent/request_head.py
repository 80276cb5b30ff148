"""What the upstream is sent. Pure."""

from hookloop.errors import ProtocolError
from hookloop.exchange import Headers, RequestHead
from hookloop.tunnel.end_to_end import lower_names

__all__ = ["RequestWriter"]


LENGTH_DIGITS_MAX = 18  # an exabyte


class RequestWriter:
    """
    One request, framed for HTTP/1.1: the head as the caller sent it, the body bit for bit.

    Signatures are made over the body, and compared by some over the headers, so
    nothing is added but the framing.
    """

    def __init__(self, head: RequestHead, *, has_body: bool, is_upgrade: bool = False) -> None:
        """Raises `ProtocolError` for a Content-Length that makes no sense."""
        self._head = head
        self._is_upgrade = is_upgrade
        length = _content_length(head.headers)
        if length and not has_body:
            raise ProtocolError("the request has a Content-Length and no body")
        self._left = length if has_body else None
        self._is_chunked = has_body and self._left is None

    def head(self) -> bytes:
        lines = [b"%b %b HTTP/1.1" % (self._head.method, self._head.target)]
        lines += [b": ".join(header) for header in self._head.headers]
        if self._is_chunked:
            lines.append(b"Transfer-Encoding: chunked")
        if self._is_upgrade:
            lines.append(b"Connection: Upgrade")
        lines.append(b"\r\n")
        return b"\r\n".join(lines)

    def data(self, data: bytes) -> tuple[bytes, ...]:
        """Return buffers to write. Raises `ProtocolError` beyond Content-Length."""
        if not data:
            return ()
        if self._is_chunked:
            return (b"%x\r\n" % len(data), data, b"\r\n")
        self._left = (self._left or 0) - len(data)
        if self._left < 0:
            raise ProtocolError("the request body is longer than its Content-Length")
        return (data,)

    def end(self, trailers: Headers = ()) -> bytes:
        """Return what ends the body. Raises `ProtocolError` where bytes are missing."""
        if self._left:
            raise ProtocolError("the request body is shorter than its Content-Length")
        if not self._is_chunked:
            return b""
        lines = [b"0\r\n", *(b"%b: %b\r\n" % field for field in trailers), b"\r\n"]
        return b"".join(lines)


def _content_length(headers: Headers) -> int | None:
    names = lower_names(headers)
    if b"content-length" not in names:
        return None
    value = headers[names.index(b"content-length")][1].strip()
    is_single = names.count(b"content-length") == 1
    if not is_single or not value.isdigit() or len(value) > LENGTH_DIGITS_MAX:
        raise ProtocolError("the request has no single, whole Content-Length")
    return int(value)
