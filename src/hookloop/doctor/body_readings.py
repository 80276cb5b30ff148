"""What a body may have been when it was signed: each change on the way, undone."""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from .case import Case
from .finding import Finding, proved
from .json_texts import json_texts

__all__ = ["BodyReading", "announced_bytes", "body_readings"]

INFLATED_BYTES_MAX = 4 * 1024 * 1024  # Stripe's largest events are some hundred KB
UNDONE_BYTES_MAX = 1024 * 1024  # a larger body is only read as it is

_BOM = b"\xef\xbb\xbf"
_GZIP_MAGIC = b"\x1f\x8b"
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-\s]+={0,2}\s*", re.ASCII)
_BYTES_REPR = re.compile(rb"b(['\"])(.*)\1", re.DOTALL)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}

_RAW = (
    "verify the raw bytes before anything parses or decodes them: request.body in Django, "
    "request.get_data() in Flask, await request.body() in Starlette and FastAPI"
)


@dataclass(frozen=True, slots=True)
class BodyReading:
    """A body the sender may have signed."""

    body: bytes
    finding: Finding | None
    """What changed it, if this reading fits; None for the body as it came."""


def body_readings(case: Case) -> Iterator[BodyReading]:
    """Yield the body as it came, then every reading of it, the cheap and common ones first."""
    body = case.body
    yield BodyReading(body, None)
    if not body or len(body) > UNDONE_BYTES_MAX:
        return
    seen = {body}
    for reading in _readings(case):
        if reading.body and reading.body not in seen:
            seen.add(reading.body)
            yield reading


def announced_bytes(case: Case) -> int | None:
    """Return what Content-Length says, or None where it says nothing usable."""
    text = (case.value("content-length") or "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text, re.ASCII) else None


def _readings(case: Case) -> Iterator[BodyReading]:
    body = case.body
    yield from _newlines(body)
    yield from _cut(case)
    yield from _encodings(body)
    yield from _wrappings(body)
    for text, how in json_texts(body):
        yield BodyReading(text, _reserialised(how))


def _newlines(body: bytes) -> Iterator[BodyReading]:
    for end in (b"\n", b"\r\n"):
        yield BodyReading(body + end, _newline("the newline at the end of the body was lost"))
    added = "a newline or space was added at the end of the body"
    for cut in (body.removesuffix(b"\n"), body.removesuffix(b"\r\n"), body.rstrip(), body.strip()):
        yield BodyReading(cut, _newline(added))
    unix = body.replace(b"\r\n", b"\n")
    lines = proved(
        "body_crlf",
        "the line ends of the body were changed between LF and CRLF",
        "take the body as bytes, never through a file or stream opened in text mode",
    )
    yield BodyReading(unix, lines)
    yield BodyReading(unix.replace(b"\n", b"\r\n"), lines)


def _cut(case: Case) -> Iterator[BodyReading]:
    announced = announced_bytes(case)
    if announced is not None and 0 < announced < len(case.body):
        surplus = proved(
            "body_surplus",
            f"{len(case.body) - announced} bytes follow the body that Content-Length announced",
            "verify exactly as many bytes as Content-Length says; something appended the rest",
        )
        yield BodyReading(case.body[:announced], surplus)


def _encodings(body: bytes) -> Iterator[BodyReading]:
    bom = _recoded("a byte order mark was added to or taken from the body")
    yield BodyReading(body.removeprefix(_BOM), bom)
    yield BodyReading(_BOM + body, bom)
    for read_as, written_as, what in (
        ("utf-8", "latin-1", "the body was decoded as latin-1 and encoded as UTF-8"),
        ("utf-8", "cp1252", "the body was decoded as Windows-1252 and encoded as UTF-8"),
        ("latin-1", "utf-8", "the body was decoded as UTF-8 and encoded as latin-1"),
        ("cp1252", "utf-8", "the body was decoded as UTF-8 and encoded as Windows-1252"),
        ("utf-16", "utf-8", "the body was encoded as UTF-16"),
    ):
        try:
            undone = body.decode(read_as).encode(written_as)
        except UnicodeError:
            continue
        yield BodyReading(undone, _recoded(what))


def _wrappings(body: bytes) -> Iterator[BodyReading]:
    bare = body.strip().strip(b'"')
    decoded = _decoded(bare) if _BASE64.fullmatch(bare) else None
    if decoded is not None:
        yield BodyReading(decoded, _BASE64_BODY)
    if body.startswith(_GZIP_MAGIC):
        inflated = _inflated(body)
        if inflated is not None:
            yield BodyReading(inflated, _GZIP_BODY)
    held = _json_string(body) if body.lstrip()[:1] == b'"' else None
    if held is not None:
        yield BodyReading(held, _quoted("is a JSON string that holds the body"))
    match = _BYTES_REPR.fullmatch(body.strip())
    if match:
        unescaped = _ESCAPE.sub(_unescape, match[2])
        yield BodyReading(unescaped, _quoted("is Python's b'...' of the body: str() of bytes"))
    if b"%" in body:
        coded = proved("body_form", "the body was percent-encoded as a form is", _RAW)
        yield BodyReading(unquote_to_bytes(body), coded)
        yield BodyReading(unquote_to_bytes(body.replace(b"+", b" ")), coded)


_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")


def _decoded(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text.translate(_STANDARD_ALPHABET))
    except (ValueError, binascii.Error):
        return None


def _json_string(body: bytes) -> bytes | None:
    try:
        text = json.loads(body)
        return text.encode() if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _inflated(body: bytes) -> bytes | None:
    inflater = zlib.decompressobj(wbits=31)  # 31: with gzip's header and trailer
    try:
        inflated = inflater.decompress(body, INFLATED_BYTES_MAX)
    except zlib.error:
        return None
    return inflated if inflater.eof else None


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if len(code) > 1:
        return bytes([int(code[1:], 16)])
    return _ESCAPED.get(code, code)


_BASE64_BODY = proved(
    "body_base64",
    "the body is still in base64, as API Gateway and Lambda hand it over",
    "decode it where isBase64Encoded is true, or use hooks.lambda_handler, which does",
)
_GZIP_BODY = proved(
    "body_gzip",
    "the body is gzip-compressed; what was signed is not",
    "decompress before verifying, or turn off compression of requests in the proxy",
)


def _newline(what: str) -> Finding:
    next_step = (
        "hand over the bytes untrimmed: no strip(), no readlines(), no shell $(...), and mind "
        "editors that end a saved file with a newline"
    )
    return proved("body_newline", what, next_step)


def _recoded(what: str) -> Finding:
    return proved("body_recoded", what, _RAW)


def _quoted(what: str) -> Finding:
    return proved("body_quoted", f"what was verified {what}", _RAW)


def _reserialised(how: str) -> Finding:
    return proved(
        "body_reserialised",
        f"the body was parsed and written anew as JSON; signed was {how}",
        _RAW,
    )
