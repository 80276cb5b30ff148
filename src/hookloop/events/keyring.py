"""The secrets of one endpoint, with labels, and when each was last needed."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from hookloop.errors import ConfigError

if TYPE_CHECKING:
    from .providers import Provider

__all__ = ["SECRETS_MAX", "Keyring", "SecretsLike"]

SECRETS_MAX = 16  # each costs an HMAC on every forged request

SecretsLike: TypeAlias = str | Iterable[str] | Mapping[str, str]


class Keyring:
    """
    One or more secrets in the order they are tried: the newest first, while one is rolled.

    A secret counts as needed only when none before it signed the request too, so an old one
    that has not been needed for a day can go. The repr shows labels, never a secret.
    """

    __slots__ = ("_needed_at", "labels", "secrets")

    def __init__(self, secrets: SecretsLike, provider: "Provider") -> None:
        given = _labelled(secrets)
        for _, secret in given:
            provider.check_secret(secret)
        if len(given) > SECRETS_MAX:
            raise ConfigError(
                f"at most {SECRETS_MAX} secrets are tried, and {len(given)} were given"
            )
        self.labels = tuple(label for label, _ in given)
        self.secrets = tuple(secret for _, secret in given)
        self._needed_at: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(self.labels)}>"

    def note(self, label: str, now: float) -> None:
        """Remember that the secret of this *label* was the first that fitted, at *now*."""
        self._needed_at[label] = now

    def needed_at(self) -> dict[str, float | None]:
        """Return by label when each secret was last needed in this process, in Unix seconds."""
        return {label: self._needed_at.get(label) for label in self.labels}


def _labelled(secrets: SecretsLike) -> list[tuple[str, str]]:
    pairs: list[tuple[str, Any]]
    if isinstance(secrets, str):
        pairs = [("secret 1", secrets)]
    elif isinstance(secrets, Mapping):
        pairs = list(secrets.items())
    else:
        pairs = [(f"secret {number}", secret) for number, secret in enumerate(secrets, 1)]
    if not all(secret is None or isinstance(secret, str) for _, secret in pairs):
        raise ConfigError("a signing secret must be a string")
    # A newline from a file or a shell is not part of the secret, and hard to see. None and ""
    # come from variables that are not set.
    return [(label, secret.strip()) for label, secret in pairs if secret and secret.strip()]
