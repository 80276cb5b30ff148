"""What a payload says: JSON for the session, NUL-separated fields for HTTP. SPEC.md section 2."""

import json
import re
import struct
from dataclasses import asdict, dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple, Self

from hookloop.errors import LocalError, ProtocolError
from hookloop.exchange import Headers, RequestHead, ResponseHead

from .frames import BODY, DIGEST

__all__ = [
    "DIGEST_BYTES",
    "FIELDS_BYTES_MAX",
    "FIELDS_MAX",
    "Bind",
    "Bound",
    "CatchWish",
    "Goaway",
    "Hello",
    "Invite",
    "Refused",
    "Request",
    "ResetCode",
    "Unbind",
    "cut_body",
    "cut_digest",
    "cut_head",
    "decode_credit",
    "decode_reset",
    "decode_response",
    "decode_trailers",
    "encode_credit",
    "encode_reset",
    "encode_response",
    "encode_trailers",
    "with_body",
]

FIELDS_MAX = 128  # nginx and Go accept 100; our own X-Forwarded-* come on top
FIELDS_BYTES_MAX = 64 * 1024  # node allows 16 KiB, nginx 32 KiB; Stripe sends under 1 KiB

# Credit is kept within 31 bits so that sums fit every language's integers.
CREDIT_MAX = 2**31 - 1
CREDIT_MIN = 16 * 1024  # below one piece of DATA a sender could never take its turn
STREAMS_LIMIT = 1_000_000
ID_CHARS_MAX = 64
NAME_CHARS_MAX = 63  # of a code
TUNNEL_CHARS_MAX = 253  # a name may be a whole host (RFC 1035 section 2.3.4)
TEXT_CHARS_MAX = 1024  # sentences for people
CATCH_PATHS_MAX = 32  # of a tunnel; who has more webhooks gives a pattern
PORT_MAX = 2**16 - 1
DIGEST_BYTES = 32  # SHA-256

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_TOKEN_CHARS = bytes(char for char in range(128) if _TOKEN.fullmatch(bytes([char])))
_TARGET_CHARS = bytes(range(0x21, 0x7F))
_SHOWN = re.compile(r"[\x20-\x7e]+")  # names and codes end in logs and on terminals
_STATUS = re.compile(rb"[1-5][0-9][0-9]")
_CREDIT = struct.Struct("!I")
_FIELDS_LENGTH = struct.Struct("!I")
_CODE = struct.Struct("!H")


class ResetCode(IntEnum):
    """Why a stream ended before its time. SPEC.md section 3."""

    CANCELLED = 1
    UPSTREAM_REFUSED = 2
    UPSTREAM_TIMEOUT = 3
    UPSTREAM_BROKEN = 4
    OVERLOADED = 5
    INTERNAL = 6


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame of each side: who it is and what it accepts."""

    id: str
    """Unguessable, and the same over all sessions of one process."""
    software: str
    stream_credit: int
    """Bytes of DATA this side takes on a new stream before it grants more."""
    session_credit: int
    """The same over all streams together."""
    streams_max: int
    """How many streams the other side may have open at once."""

    def encode(self) -> bytes:
        return _encode_json(asdict(self))

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Raise `ProtocolError` for anything but a valid HELLO."""
        members = _decode_json(payload, "HELLO")
        return cls(
            id=_text(members, "id", ID_CHARS_MAX),
            software=_text(members, "software", TEXT_CHARS_MAX),
            stream_credit=_integer(members, "stream_credit", CREDIT_MIN, CREDIT_MAX),
            session_credit=_integer(members, "session_credit", CREDIT_MIN, CREDIT_MAX),
            streams_max=_integer(members, "streams_max", 1, STREAMS_LIMIT),
        )


@dataclass(frozen=True, slots=True)
class CatchWish:
    """What the agent would have the relay do with webhooks while no agent is there."""

    status: int
    """200 to 299: what their senders are answered once they are kept."""
    paths: tuple[str, ...] = ()
    """Which paths, as ``/hooks/*``; none is all of them."""

    @classmethod
    def decode(cls, members: object) -> Self:
        if not isinstance(members, dict):
            raise ProtocolError("the member 'catch' of BIND is not an object")
        paths = members.get("paths", [])
        if not isinstance(paths, list) or len(paths) > CATCH_PATHS_MAX:
            raise ProtocolError(f"the paths of 'catch' are not a list of up to {CATCH_PATHS_MAX}")
        return cls(
            status=_integer(members, "status", 200, 299),
            paths=tuple(_text({"paths": path}, "paths", TEXT_CHARS_MAX) for path in paths),
        )


@dataclass(frozen=True, slots=True)
class Bind:
    """The agent asks for a tunnel."""

    ref: int
    """Chosen by the agent; the answer carries it back."""
    name: str | None
    """The name asked for, or None for any."""
    protocol: str = "http"
    """``http``, ``tcp`` or ``tls``."""
    port: int = 0
    """Of a tcp tunnel: the port asked for, or 0 for any."""
    catch: CatchWish | None = None
    """Of an http tunnel: the relay may keep what comes while no agent is there."""

    def encode(self) -> bytes:
        members = asdict(self)
        if self.catch is None:
            del members["catch"]
        return _encode_json(members)

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        members = _decode_json(payload, "BIND")
        name = members.get("name")
        # A bad name is refused by the relay in words, so only its type is checked here.
        if name is not None and not isinstance(name, str):
            raise ProtocolError("BIND has a name that is not a text")
        catch = members.get("catch")
        return cls(
            ref=_integer(members, "ref", 0, CREDIT_MAX),
            name=name,
            protocol=_text(members, "protocol", TEXT_CHARS_MAX),
            port=_integer(members, "port", 0, PORT_MAX) if "port" in members else 0,
            catch=CatchWish.decode(catch) if catch is not None else None,
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """The relay gives the tunnel."""

    ref: int
    name: str
    url: str
    """Public, without a path: ``http://shop.tun.example``, ``tcp://tun.example:20001``."""

    def encode(self) -> bytes:
        return _encode_json(asdict(self))

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        members = _decode_json(payload, "BOUND")
        return cls(
            ref=_integer(members, "ref", 0, CREDIT_MAX),
            name=_text(members, "name", TUNNEL_CHARS_MAX),
            url=_text(members, "url", TEXT_CHARS_MAX),
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """The relay does not give the tunnel."""

    ref: int
    code: str
    message: str
    """A sentence for people; cut where it is long, and safe to print."""

    def encode(self) -> bytes:
        return _encode_json(asdict(self) | {"message": _sentence(self.message)})

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        members = _decode_json(payload, "REFUSED")
        return cls(
            ref=_integer(members, "ref", 0, CREDIT_MAX),
            code=_text(members, "code", NAME_CHARS_MAX),
            message=_message(members),
        )


@dataclass(frozen=True, slots=True)
class Unbind:
    """The agent gives the tunnel back."""

    name: str

    def encode(self) -> bytes:
        return _encode_json(asdict(self))

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        return cls(name=_text(_decode_json(payload, "UNBIND"), "name", TUNNEL_CHARS_MAX))


@dataclass(frozen=True, slots=True)
class Goaway:
    """No new streams: the sender of this will close when the open ones have ended."""

    code: str
    message: str
    """A sentence for people; cut where it is long, and safe to print."""

    def encode(self) -> bytes:
        return _encode_json(asdict(self) | {"message": _sentence(self.message)})

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        members = _decode_json(payload, "GOAWAY")
        return cls(
            code=_text(members, "code", NAME_CHARS_MAX),
            message=_message(members),
        )


@dataclass(frozen=True, slots=True)
class Invite:
    """The relay asks the agent to dial a further connection, a lane."""

    lane: int
    ticket: str
    """Good once, and not for long."""

    def encode(self) -> bytes:
        return _encode_json(asdict(self))

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        members = _decode_json(payload, "INVITE")
        return cls(
            lane=_integer(members, "lane", 1, CREDIT_MAX),
            ticket=_text(members, "ticket", TEXT_CHARS_MAX),
        )


class Request(NamedTuple):
    """The head of a request and where it came in."""

    tunnel: str
    remote: str
    head: RequestHead

    def encode(self) -> bytes:
        """Raises `LocalError` for a head this wire cannot carry."""
        head = self.head
        if not _is_request_line(head.method, head.target):
            raise LocalError("a request without a valid method and target cannot be sent")
        if not (self.tunnel.isascii() and self.remote.isascii()):
            raise LocalError("a tunnel or a remote that is not ASCII cannot be sent")
        first = (self.tunnel.encode(), self.remote.encode(), head.method, head.target)
        return _encode_fields(first, head.headers)

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        (tunnel, remote, method, target), headers = _decode_fields(payload, 4, "REQUEST")
        if not _is_request_line(method, target):
            raise ProtocolError("REQUEST has no valid method and target")
        head = RequestHead(method=method, target=target, headers=headers)
        return cls(tunnel=_ascii(tunnel), remote=_ascii(remote), head=head)


# --- a head and the beginning of its body, in one frame -------------------------------


def with_body(fields: bytes, body: bytes, digest: bytes) -> bytes:
    """Return the payload of a REQUEST or RESPONSE with the flag BODY."""
    return b"".join((_FIELDS_LENGTH.pack(len(fields)), fields, body, digest))


def cut_body(payload: bytes) -> tuple[bytes, bytes]:
    """Return fields and body of such a payload, or raise `ProtocolError`."""
    if len(payload) < _FIELDS_LENGTH.size:
        raise ProtocolError("a head with the flag BODY has no length")
    end = _FIELDS_LENGTH.size + _FIELDS_LENGTH.unpack_from(payload)[0]
    if end > len(payload):
        raise ProtocolError("a head with the flag BODY is shorter than its fields")
    return payload[_FIELDS_LENGTH.size : end], payload[end:]


def cut_head(payload: bytes, flags: int) -> tuple[bytes, bytes, bytes]:
    """Return fields, body and digest of a REQUEST or RESPONSE, or raise `ProtocolError`."""
    if not flags & BODY:
        return payload, b"", b""
    fields, body = cut_body(payload)
    if not flags & DIGEST:
        return fields, body, b""
    return fields, *cut_digest(body)


def cut_digest(body: bytes) -> tuple[bytes, bytes]:
    """Return body and digest of a payload with the flag DIGEST, or raise `ProtocolError`."""
    if len(body) < DIGEST_BYTES:
        raise ProtocolError("a payload with the flag DIGEST is shorter than a digest")
    return body[:-DIGEST_BYTES], body[-DIGEST_BYTES:]


# --- fields -------------------------------------------------------------------------


def encode_response(head: ResponseHead) -> bytes:
    """Return the payload of RESPONSE. Raises `LocalError` for a head this wire cannot carry."""
    status = b"%d" % head.status
    if not _is_status(status):
        raise LocalError(f"a response of status {head.status} cannot be sent")
    return _encode_fields((status, head.reason), head.headers)


def decode_response(payload: bytes) -> ResponseHead:
    """Raise `ProtocolError` for anything but a valid response head."""
    (status, reason), headers = _decode_fields(payload, 2, "RESPONSE")
    if not _is_status(status):
        raise ProtocolError("RESPONSE has no status from 100 to 599")
    return ResponseHead(status=int(status), reason=reason, headers=headers)


def encode_trailers(trailers: Headers) -> bytes:
    """Return the payload of TRAILERS."""
    return _encode_fields((), trailers)


def decode_trailers(payload: bytes) -> Headers:
    """Raise `ProtocolError` for anything but valid trailers."""
    if not payload:
        return ()
    return _decode_fields(payload, 0, "TRAILERS")[1]


def _encode_fields(first: tuple[bytes, ...], headers: Headers) -> bytes:
    parts = list(first)
    for header in headers:
        parts += header
    payload = b"\0".join(parts)
    # As strict as the other side is: what it would call a protocol error ends every stream.
    is_shifted = payload.count(b"\0") != max(len(parts) - 1, 0)  # by a NUL inside a part
    if is_shifted or not _is_carriable(payload, parts[len(first) :: 2]):
        raise LocalError("fields with NUL, CR, LF or a bad name, or over the limits")
    return payload


def _decode_fields(payload: bytes, first: int, what: str) -> tuple[list[bytes], Headers]:
    parts = payload.split(b"\0")
    names, values = parts[first::2], parts[first + 1 :: 2]
    if len(parts) < first or len(names) != len(values):
        raise ProtocolError(f"{what} has a field without a value")
    if not _is_carriable(payload, names):
        raise ProtocolError(f"{what} is over the limits, has a line break or a bad field name")
    return parts[:first], tuple(zip(names, values))  # noqa: B905  # as many, by the check above


def _is_carriable(payload: bytes, names: list[bytes]) -> bool:
    return (
        len(payload) <= FIELDS_BYTES_MAX
        and len(names) <= FIELDS_MAX
        and b"\r" not in payload
        and b"\n" not in payload
        and b"" not in names
        # All at once: what is left without the characters of a token is no token.
        and not b"".join(names).translate(None, _TOKEN_CHARS)
    )


def _is_request_line(method: bytes, target: bytes) -> bool:
    is_method = method and not method.translate(None, _TOKEN_CHARS)
    return bool(is_method and target and not target.translate(None, _TARGET_CHARS))


@lru_cache(maxsize=64)
def _is_status(status: bytes) -> bool:
    return bool(_STATUS.fullmatch(status))


@lru_cache(maxsize=256)  # tunnels are few; callers come back on their connections
def _ascii(value: bytes) -> str:
    try:
        return value.decode("ascii")
    except UnicodeDecodeError:
        raise ProtocolError("REQUEST names a tunnel or a remote that is not ASCII") from None


# --- numbers ------------------------------------------------------------------------


def encode_credit(granted: int) -> bytes:
    """Return the payload of CREDIT."""
    return _CREDIT.pack(granted)


def decode_credit(payload: bytes) -> int:
    """Raise `ProtocolError` unless it grants 1 to 2^31-1 bytes."""
    if len(payload) != _CREDIT.size:
        raise ProtocolError("CREDIT is not four bytes")
    granted: int = _CREDIT.unpack(payload)[0]
    if not 0 < granted <= CREDIT_MAX:
        raise ProtocolError(f"CREDIT grants {granted} bytes")
    return granted


def encode_reset(code: ResetCode, message: str) -> bytes:
    """Return the payload of RESET; *message* is for people and is cut where it is long."""
    return _CODE.pack(code) + _sentence(message).encode()


def decode_reset(payload: bytes) -> tuple[ResetCode, str]:
    """Read unknown codes as INTERNAL; raise `ProtocolError` if there is none."""
    if len(payload) < _CODE.size:
        raise ProtocolError("RESET has no code")
    message = _sentence(payload[_CODE.size :].decode(errors="replace"))
    try:
        return ResetCode(_CODE.unpack_from(payload)[0]), message
    except ValueError:
        return ResetCode.INTERNAL, message


# --- JSON ---------------------------------------------------------------------------


def _encode_json(members: dict[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()


def _decode_json(payload: bytes, what: str) -> dict[str, Any]:
    try:
        members = json.loads(payload.decode())  # given bytes, it would also read UTF-16 and 32
    except (ValueError, RecursionError):
        raise ProtocolError(f"{what} is not JSON") from None
    if not isinstance(members, dict):
        raise ProtocolError(f"{what} is not a JSON object")
    return members


def _text(members: dict[str, Any], key: str, most: int) -> str:
    value = members.get(key)
    if isinstance(value, str) and 0 < len(value) <= most and _SHOWN.fullmatch(value):
        return value
    raise ProtocolError(f"the member {key!r} is not 1 to {most} printable ASCII characters")


def _message(members: dict[str, Any]) -> str:
    value = members.get("message")
    if not isinstance(value, str):
        raise ProtocolError("the member 'message' is not a text")
    return _sentence(value)


def _sentence(text: str) -> str:
    """Cut *text*, and leave no line break or escape sequence for a log or a terminal."""
    text = text[:TEXT_CHARS_MAX]
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _integer(members: dict[str, Any], key: str, least: int, most: int) -> int:
    value = members.get(key)
    if type(value) is not int or not least <= value <= most:
        raise ProtocolError(f"the member {key!r} is not a whole number from {least} to {most}")
    return value
