"""Standard Webhooks: the signatures of Svix and of the senders that follow its specification."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from hookloop.errors import ConfigError, SignatureError
from hookloop.events.event import Event, PayloadError
from hookloop.events.incoming import Incoming
from hookloop.events.outcomes import Reply

from .provider import check_age, read_timestamp, require

__all__ = ["StandardWebhooks", "sign_standard"]

_SECRET_PREFIX = "whsec_"  # noqa: S105  # the prefix of secrets, not one
_SYMMETRIC = "v1,"


class StandardWebhooks:
    """
    See https://www.standardwebhooks.com, symmetric signatures (``v1``).

    Unlike Stripe's, the key is what the text after ``whsec_`` says in base64. The id of
    an event is ``webhook-id``, its type the body's ``type``.
    """

    name = "standard"

    def __init__(self, *, header_prefix: str = "webhook") -> None:
        self._prefix = header_prefix
        """``svix`` for senders that kept the older names of the three headers."""

    def check_secret(self, secret: str) -> None:
        try:
            _key(secret)
        except (ValueError, binascii.Error):
            raise ConfigError(
                "a Standard Webhooks secret is whsec_ followed by base64, and one given is not"
            ) from None

    def verify(
        self, request: Incoming, secrets: Sequence[str], *, now: float, tolerance: float
    ) -> int:
        id_ = require(request, f"{self._prefix}-id")
        time = require(request, f"{self._prefix}-timestamp")
        signed_at = read_timestamp(time, f"{self._prefix}-timestamp")
        given = [
            item.removeprefix(_SYMMETRIC).encode("utf-8", "replace")
            for item in require(request, f"{self._prefix}-signature").split()
            if item.startswith(_SYMMETRIC)
        ]
        if not given:
            raise SignatureError("malformed", f"{self._prefix}-signature has no v1 signature")
        for index, secret in enumerate(secrets):
            expected = sign_standard(request.body, secret, id=id_, signed_at=signed_at).encode()
            if any(hmac.compare_digest(expected, candidate) for candidate in given):
                check_age(signed_at, now, tolerance)
                return index
        raise SignatureError("mismatch", "no v1 signature matches any of our secrets")

    def read(
        self, request: Incoming, payload: dict[str, Any], *, secret_label: str | None
    ) -> Event[Any]:
        id_, type_ = request.get(f"{self._prefix}-id"), payload.get("type")
        if not (id_ and isinstance(type_, str) and type_):
            raise PayloadError("the body has no type")
        return Event(payload, request.body, id=id_, type=type_, secret_label=secret_label)

    def greeting(self, _event: Event[Any]) -> Reply | None:
        return None


def sign_standard(
    payload: bytes,
    secret: str,
    *,
    id: str,  # noqa: A002  # the specification's own name
    signed_at: int,
) -> str:
    """Return the base64 digest that signs *payload*; the header says ``v1,`` before it."""
    signed = b"%b.%d.%b" % (id.encode("utf-8", "replace"), signed_at, payload)
    return base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
