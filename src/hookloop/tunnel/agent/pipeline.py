"""
What a tunnel's policy does to one request and its answer. Pure.

In this order: the caller's address, its password, then (with the body, by the guard)
what it says; only what passes all of them is rewritten and sent on.
"""

import base64
import binascii
import hmac
from ipaddress import IPv4Address, IPv6Address, ip_address

from hookloop.exchange import Headers, Objection, RequestHead, ResponseHead

from .address import Upstream
from .own_answer import REFUSED_HEADER
from .policy import PRESERVE, REWRITE, Credential, Policy

__all__ = ["Pipeline"]

_REFUSED = REFUSED_HEADER.lower()


class Pipeline:
    """One tunnel's. It holds nothing of a request: one serves them all."""

    def __init__(self, policy: Policy, upstream: Upstream, realm: str) -> None:
        self.policy = policy
        self._realm = realm
        self._host = None if policy.host_header == PRESERVE else upstream.authority.encode()
        if policy.host_header not in {REWRITE, PRESERVE}:
            self._host = policy.host_header.encode()
        scheme = upstream.origin.partition("://")[0]
        self._origin = f"{scheme}://".encode() + (self._host or upstream.authority.encode())
        rule = policy.origin or (PRESERVE if self._host is None else REWRITE)
        self._rewrites_origin = rule == REWRITE
        self._digests = [credential.digest for credential in policy.basic_auth]

    def challenge(self) -> bytes:
        """Return the WWW-Authenticate of a 401."""
        realm = "".join(c if c.isalnum() or c in " -_." else "?" for c in self._realm)
        return b'Basic realm="%b", charset="UTF-8"' % realm.encode("ascii", "replace")

    def objection(self, head: RequestHead, remote: str) -> Objection | None:
        """Return why the request of *remote* (``host:port``) must not pass, or None."""
        policy = self.policy
        if policy.allow or policy.deny:
            objection = self._to_address(remote)
            if objection is not None:
                return objection
        if self._digests and not _is_known(head.get(b"authorization"), self._digests):
            return Objection(
                401, "unauthorized", "this tunnel asks for a user and a password", (_how(head),)
            )
        return None

    def request(self, head: RequestHead) -> RequestHead:
        """Return the head for the upstream."""
        headers = head.headers
        if self.policy.request_remove:
            headers = _without(headers, self.policy.request_remove)
        if self._digests:
            # It was for us. An app that checks credentials would not know this one.
            headers = _without(headers, (b"authorization",))
        if self._host is not None:
            headers = _with_value(headers, b"host", self._host)
        if self._rewrites_origin and (origin := _value(headers, b"origin")):
            public = _public_origin(head)
            if public and origin.lower() == public.lower():
                headers = _with_value(headers, b"origin", self._origin)
        if headers is head.headers and not self.policy.request_add:
            return head
        return RequestHead(head.method, head.target, headers + self.policy.request_add)

    def response(self, head: ResponseHead, request: RequestHead) -> ResponseHead:
        """Return the head for the caller of *request*, as it came."""
        policy, headers = self.policy, head.headers
        if policy.response_remove:
            headers = _without(headers, policy.response_remove)
        if _value(headers, _REFUSED) is not None:
            headers = _without(headers, (_REFUSED,))  # it would say that the answer is ours
        if self._host is not None and (location := _value(headers, b"location")):
            public = self._public_location(location, request)
            headers = _with_value(headers, b"location", public)
        if headers is head.headers and not policy.response_add:
            return head
        return ResponseHead(head.status, head.reason, headers + policy.response_add)

    # --- inside -----------------------------------------------------------------------------

    def _to_address(self, remote: str) -> Objection | None:
        address = _address(remote)
        is_denied = address is None or any(address in network for network in self.policy.deny)
        is_allowed = not self.policy.allow or any(
            address in network for network in self.policy.allow if address is not None
        )
        if not is_denied and is_allowed:
            return None
        shown = address or remote
        why = f"{shown} is {'denied' if is_denied else 'not among the allowed'}"
        return Objection(403, "ip_refused", "this tunnel is not open to your address", (why,))

    def _public_location(self, location: bytes, request: RequestHead) -> bytes:
        """
        Lead a redirect to the upstream's own address to the public one, as nginx does.

        An app that is shown its own address as Host builds absolute redirects from it; one
        that heeds X-Forwarded-Proto says https there, though it is reached by http.
        """
        scheme, separator, rest = location.partition(b"://")
        host = self._host or b""
        path = rest[len(host) :]
        is_web = separator and scheme.lower() in {b"http", b"https"}
        is_own = rest.lower().startswith(host.lower()) and path[:1] in {b"", b"/", b"?", b"#"}
        public = _public_origin(request)
        return public + path if is_web and is_own and public else location


def _public_origin(head: RequestHead) -> bytes:
    """Return where the caller thinks it is, in the relay's words; empty where it told none."""
    scheme, host = head.get(b"x-forwarded-proto"), head.get(b"x-forwarded-host")
    return b"%b://%b" % (scheme, host) if scheme and host else b""


def _address(remote: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(remote.rpartition(":")[0].strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_known(authorization: bytes | None, digests: list[bytes]) -> bool:
    scheme, _, text = (authorization or b"").partition(b" ")
    try:
        given = base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        given = b""
    digest = Credential.digest_of(given)
    # All of them, always: the time tells neither which one fits nor how much of it.
    fits = [hmac.compare_digest(digest, known) for known in digests]
    return scheme.lower() == b"basic" and any(fits)


def _how(head: RequestHead) -> str:
    if head.get(b"authorization") is None:
        return "the request has no Authorization: a browser will ask for it now"
    return "its Authorization is none of this tunnel's --basic-auth"


def _without(headers: Headers, names: tuple[bytes, ...]) -> Headers:
    return tuple([header for header in headers if header[0].lower() not in names])


# Every request comes through these two, so names of another length are not lower-cased.


def _value(headers: Headers, name: bytes) -> bytes | None:
    length = len(name)
    for key, value in headers:
        if len(key) == length and key.lower() == name:
            return value
    return None


def _with_value(headers: Headers, name: bytes, value: bytes) -> Headers:
    """Put *value* in the place of the field *name*, which keeps its place and its case."""
    length = len(name)
    for index, (key, _) in enumerate(headers):
        if len(key) == length and key.lower() == name:
            return (*headers[:index], (key, value), *headers[index + 1 :])
    return headers
