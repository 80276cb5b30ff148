"""
The one tree of hookloop's errors, ordered by who can put them right.

    HookloopError
    ├── ConfigError          a setting or a call of yours; also a ValueError
    ├── LocalError           our own code broke the contract of a pure machine: a bug
    ├── StoreError           the disk or database of a ledger cannot do it now
    └── RemoteError          the other side sent something we do not accept
        ├── SignatureError   a webhook that is not signed as it should be
        ├── ProtocolError    bytes on a tunnel session that break its SPEC.md
        └── RefusedError     the other side understood us and said no

Every message says what happened, to what, and what to do next. None of them
holds a secret or a payload. Outcomes that are part of the trade (an upstream
that refuses a connection, an endpoint that answers 410) are values, not errors.
"""

from typing import TYPE_CHECKING

__all__ = [
    "ConfigError",
    "HookloopError",
    "LocalError",
    "ProtocolError",
    "RefusedError",
    "RemoteError",
    "SignatureError",
    "StoreError",
]


class HookloopError(Exception):
    """Anything hookloop raises on purpose."""


class ConfigError(HookloopError, ValueError):
    """A setting, an argument or the order of your calls needs a change."""


class LocalError(HookloopError):
    """This process asked a machine for a move its state does not allow: a bug of ours."""


class StoreError(HookloopError):
    """
    The disk or the database that keeps a ledger cannot do it now.

    Nothing is acknowledged. It may have been written all the same: whoever tries again uses the
    same key.
    """


class RemoteError(HookloopError):
    """The other side sent something we do not accept."""


class SignatureError(RemoteError):
    """
    The webhook is not signed by any secret we know, or not signed now.

    *reason* is one of a few fixed words, fit for a log line or a metric label:
    ``missing``, ``malformed``, ``mismatch``, ``too_old``, ``too_new``.
    """

    if TYPE_CHECKING:

        def __init__(self, reason: str, message: str) -> None: ...

    # No __init__ at run time: one is made for every forged request, and `args` holds both.

    @property
    def reason(self) -> str:
        reason: str = self.args[0]
        return reason

    def __str__(self) -> str:
        return str(self.args[1])


class ProtocolError(RemoteError):
    """Bytes of a tunnel session that break the wire contract; the session ends."""


class RefusedError(RemoteError):
    """
    The relay understood us and said no.

    *code* is the machine-readable reason, such as ``bad_token`` or ``name_taken``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
