"""Which header fields go on from one connection to the next. Pure, and the same on both sides."""

from operator import itemgetter

from hookloop.exchange import Headers

__all__ = ["end_to_end", "lower_names", "upgrade_asked", "upgrade_granted"]

# RFC 9110 section 7.6.1, and Keep-Alive and Proxy-Connection, which old peers send.
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
)
# What a Connection field may not take away: the message would mean something else without it.
_NEVER_DROPPED = frozenset({b"host", b"content-length", b"content-type", b"authorization"})


# RFC 9113 section 3.1 took h2c away; what came after it could hold requests that nobody checked.
_NEVER_PASSED = frozenset({b"h2c", b"h2", b"http"})
# Both in C, as is what joins them: a head passes through this four times on its way.
_NAME, _LOWER = itemgetter(0), bytes.lower


def upgrade_asked(headers: Headers) -> bytes:
    """Return the protocols that a request asks to change to, and that are passed on; or nothing."""
    offers = [offer for offer in _protocols(headers) if _name(offer) not in _NEVER_PASSED]
    return b", ".join(offers)


def upgrade_granted(headers: Headers, asked: bytes) -> bytes:
    """Return the protocols that a 101 changes to; nothing if that was not *asked*."""
    chosen = _protocols(headers)
    offers = {offer.strip().lower() for offer in asked.split(b",")}
    is_asked = bool(chosen) and all(protocol.lower() in offers for protocol in chosen)
    return b", ".join(chosen) if is_asked else b""


def _protocols(headers: Headers) -> list[bytes]:
    values = b",".join(value for name, value in headers if name.lower() == b"upgrade")
    return [each.strip() for each in values.split(b",") if each.strip()]


def _name(protocol: bytes) -> bytes:
    return protocol.partition(b"/")[0].lower()


def lower_names(headers: Headers) -> list[bytes]:
    """Return the names in lower case, in order: what fields are looked up by."""
    return list(map(_LOWER, map(_NAME, headers)))


def end_to_end(headers: Headers, names: list[bytes]) -> Headers:
    """
    Drop the fields that speak of a single connection; order, case and duplicates stay.

    *names* are their `lower_names`, which the caller has at hand: this is on the path of
    every request and answer, most of which have nothing to drop.
    """
    if _HOP_BY_HOP.isdisjoint(names):
        return headers
    dropped = _HOP_BY_HOP
    if b"connection" in names:
        options = b",".join(
            value for name, (_, value) in zip(names, headers, strict=True) if name == b"connection"
        )
        named = {option.strip() for option in options.lower().split(b",")}
        dropped |= named - _NEVER_DROPPED
    return tuple(
        [header for name, header in zip(names, headers, strict=True) if name not in dropped]
    )
