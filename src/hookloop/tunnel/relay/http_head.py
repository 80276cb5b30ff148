"""
What the relay lets in, and what it passes on. Pure.

httptools (llhttp) refuses most malformed requests by itself; the checks here are
for what it lets through. A head is always rebuilt from its parts, never spliced.
"""

import re
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from hookloop.exchange import Headers, RequestHead
from hookloop.tunnel.end_to_end import end_to_end, lower_names

from .limits import RelayLimits
from .refusal import Refusal

__all__ = [
    "DEFAULTS",
    "HOPS_HEADER",
    "Admitted",
    "RawRequest",
    "admit",
    "is_within_limits",
    "passable_trailers",
]

DEFAULTS = RelayLimits()
HOPS_HEADER = b"Hookloop-Hops"
"""How many relays a request has passed. The one field of ours that a caller may send."""

_CLAIMS = frozenset({b"forwarded", b"x-real-ip"})  # and all X-Forwarded-*, and all of ours
_OWN = (b"x-forwarded-", b"hookloop-")
_HOPS = HOPS_HEADER.lower()
# RFC 9110 section 6.5.1: fields of framing, routing or credentials, which a recipient may
# merge into the head long after somebody checked it.
_NEVER_TRAILERS = frozenset(
    {
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"host",
        b"set-cookie",
        b"trailer",
    }
)
_HOST_NAME = re.compile(rb'\[[0-9a-f:.]+\]|[^\x00-\x20\x7f-\xff@,/\\?#"<>:\[\]]+')
HOST_CHARS_MAX = 253  # RFC 1035 section 2.3.4, as text
PORT_DIGITS_MAX = 5


class RawRequest(NamedTuple):
    """A request head as the parser gave it."""

    method: bytes
    target: bytes
    version: str
    """``1.1`` or ``1.0``; the parser lets others through."""
    headers: Headers


class Admitted(NamedTuple):
    """A request that may be passed on."""

    host: str
    """Lower case, without port or trailing dot."""
    host_field: bytes
    """The same as it came."""
    head: RequestHead
    """In origin form, without hop-by-hop fields and without what is in *claims*."""
    has_body: bool
    claims: Headers
    """What the caller says of where the request came from: X-Forwarded-* and the like."""
    hops: int = 0
    """How many relays it has passed before."""


def admit(raw: RawRequest, limits: RelayLimits = DEFAULTS) -> Admitted | Refusal:
    """Judge a request head."""
    names = lower_names(raw.headers)
    refusal = _check_size(raw, limits) or _check_framing(raw, names)
    if refusal:
        return refusal
    if names.count(b"host") != 1:
        return _bad("a request needs exactly one Host field")
    host_field = raw.headers[names.index(b"host")][1]
    target = _origin_form(raw.method, raw.target, host_field)
    host = _host_name(host_field)
    if target is None or host is None:
        return _bad("the Host field, or the target of the request line, is not valid")
    headers = end_to_end(raw.headers, names)
    claims: Headers = ()
    hops = 0
    joined = b"\0".join(names)
    if b"forwarded" in joined or b"real" in joined or b"hookloop" in joined:  # may be a claim
        headers, claims = _without_claims(headers)
        hops = _hops(claims)
        if hops >= limits.hops_max:
            message = f"the request has passed {hops} relays: a tunnel leads to itself"
            return Refusal(508, "loop", message)
    head = RequestHead(raw.method, target, headers)
    return Admitted(host, host_field, head, _has_body(raw.headers, names), claims, hops)


def passable_trailers(trailers: Headers) -> Headers:
    """Drop the fields that must not come after a body."""
    if not trailers:
        return ()
    return tuple(
        field
        for field in end_to_end(trailers, lower_names(trailers))
        if not (field[0].lower() in _NEVER_TRAILERS or _is_claim(field[0].lower()))
    )


def is_within_limits(
    headers: Headers, limits: RelayLimits = DEFAULTS, *, more_bytes: int = 0
) -> bool:
    """Say whether fields, and *more_bytes* beside them, are few and short enough to pass on."""
    total = sum(map(len, chain.from_iterable(headers))) + 4 * len(headers) + more_bytes
    if total > limits.head_bytes_max or len(headers) > limits.head_fields_max:
        return False
    if total <= limits.field_bytes_max:
        return True  # as with nearly all: no field is longer than the whole
    return all(len(name) + len(value) <= limits.field_bytes_max for name, value in headers)


def _without_claims(headers: Headers) -> tuple[Headers, Headers]:
    claims = tuple([header for header in headers if _is_claim(header[0].lower())])
    return tuple([header for header in headers if header not in claims]), claims


def _is_claim(name: bytes) -> bool:
    # To an app behind CGI's rules, as any of WSGI, an underscore is the same as a hyphen.
    name = name.replace(b"_", b"-")
    return name.startswith(_OWN) or name in _CLAIMS


def _hops(claims: Headers) -> int:
    """Return what Hookloop-Hops says; one that says nonsense comes from no relay."""
    values = [value for name, value in claims if name.lower() == _HOPS]
    return max([int(value) for value in values if value.isdigit() and len(value) < 6], default=0)


def _check_size(raw: RawRequest, limits: RelayLimits) -> Refusal | None:
    if len(raw.target) > limits.target_bytes_max:
        message = f"the URL is over {limits.target_bytes_max} bytes"
        return Refusal(414, "target_too_long", message)
    if not is_within_limits(raw.headers, limits, more_bytes=len(raw.target)):
        return Refusal(
            431,
            "head_too_large",
            f"the request head is over {limits.head_bytes_max} bytes, {limits.head_fields_max} "
            f"fields, or {limits.field_bytes_max} bytes in one of them",
        )
    return None


def _check_framing(raw: RawRequest, names: list[bytes]) -> Refusal | None:
    if raw.version not in {"1.0", "1.1"}:
        return Refusal(505, "bad_version", "this relay speaks HTTP/1.1 and HTTP/1.0")
    if raw.method == b"CONNECT":
        return Refusal(501, "method_refused", "this relay is not a forward proxy")
    if b"transfer-encoding" not in names:
        return None
    if raw.version == "1.0":
        return _bad("Transfer-Encoding does not exist in HTTP/1.0")
    coding = raw.headers[names.index(b"transfer-encoding")][1].strip().lower()
    if coding != b"chunked" or names.count(b"transfer-encoding") > 1:
        return Refusal(501, "bad_transfer_encoding", "the only transfer coding here is chunked")
    return None


def _origin_form(method: bytes, target: bytes, host: bytes) -> bytes | None:
    """Return path and query; an absolute target must name the Host (RFC 9112 section 3.2.2)."""
    if b"#" in target:  # the fragment stays at the caller, and one app would cut what another keeps
        return None
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return target
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in {b"http", b"https"}:
        return None
    cut = min((i for i in (rest.find(b"/"), rest.find(b"?")) if i >= 0), default=len(rest))
    authority, path = rest[:cut], rest[cut:]
    if authority.lower() != host.lower():
        return None
    return path if path.startswith(b"/") else b"/" + path


@lru_cache(maxsize=1024)  # callers name the same few hosts; a thousand others cost what they cost
def _host_name(host: bytes) -> str | None:
    name, colon, port = host.lower().rpartition(b":")
    if not colon or host.endswith(b"]"):
        name, port = host.lower(), b""
    name = name.removesuffix(b".")
    if not 0 < len(name) <= HOST_CHARS_MAX or len(port) > PORT_DIGITS_MAX:
        return None
    if port and not port.isdigit():
        return None
    if not _HOST_NAME.fullmatch(name):
        return None
    return name.decode("ascii")


def _has_body(headers: Headers, names: list[bytes]) -> bool:
    if b"content-length" in names:
        # The parser let one through only, or several that are the same.
        return headers[names.index(b"content-length")][1].strip() != b"0"
    return b"transfer-encoding" in names


def _bad(message: str) -> Refusal:
    return Refusal(400, "bad_request", message)
