"""The signing secrets a user has told us: by options and the environment."""

from collections.abc import Iterable, Mapping

from hookloop.inspector.webhook_signature import PROVIDERS, KnownSecret

__all__ = ["known_secrets"]

_OF_ANY = ("HOOKLOOP_WEBHOOK_SECRET", "HOOKLOOP_SECRETS")
"""As `--secret` of a tunnel and the doctor read them."""


def known_secrets(given: Iterable[str], environment: Mapping[str, str]) -> tuple[KnownSecret, ...]:
    """
    Return the secrets of *given*, and those of the environment, for whom they may be.

    ``stripe=whsec_...`` says whose; without that a secret is tried for everybody.
    """
    found: list[KnownSecret] = []
    texts = [*given]
    for name in _OF_ANY:
        texts += environment.get(name, "").split(",")
    for text in filter(None, (text.strip() for text in texts)):
        provider, equals, secret = text.partition("=")
        if equals and provider in PROVIDERS:
            found.append(KnownSecret(provider, secret))
        else:
            found += [KnownSecret(name, text) for name in PROVIDERS if name != "svix"]
    for name, scheme in PROVIDERS.items():
        if (secret := environment.get(scheme.variable, "").strip()) and name != "svix":
            found.append(KnownSecret(name, secret))
    return tuple(dict.fromkeys(found))
