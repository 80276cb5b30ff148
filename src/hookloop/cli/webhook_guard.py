"""Stops webhooks that are not rightly signed at the agent, and says why for the tunnel's owner."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hookloop.clock import Clock, SystemClock
from hookloop.errors import ConfigError, SignatureError
from hookloop.exchange import Objection, RequestHead

if TYPE_CHECKING:
    from hookloop.events.incoming import Incoming
    from hookloop.events.providers import Provider
    from hookloop.tunnel.agent.guard import Guard

__all__ = ["PROVIDERS", "WebhookGuard", "webhook_guard"]

EXPLAINED_BYTES_MAX = 256 * 1024  # every event of Stripe's; the search hashes a body many times
STATUS = 403  # as ngrok: who cannot sign may not enter


def _standard(prefix: str) -> "Callable[[], Provider]":
    def provider() -> "Provider":
        from hookloop.events.providers import StandardWebhooks

        return StandardWebhooks(header_prefix=prefix)

    return provider


def _named(name: str) -> "Callable[[], Provider]":
    def provider() -> "Provider":
        from hookloop.events import providers

        made: Provider = getattr(providers, name)()
        return made

    return provider


PROVIDERS: "dict[str, Callable[[], Provider]]" = {
    "github": _named("GitHub"),
    "shopify": _named("Shopify"),
    "slack": _named("Slack"),
    "standard": _standard("webhook"),
    "stripe": _named("Stripe"),
    "svix": _standard("svix"),
}
"""Every provider of hookloop.events, by its name; svix is standard with its older headers."""


def webhook_guard(provider: str | None, secrets: Sequence[str]) -> "Guard | None":
    """Return the guard for *provider*, or None for none. Raises `ConfigError`."""
    if provider is None:
        if secrets:
            raise ConfigError("a secret is given and no provider: add verify_webhook")
        return None
    if provider not in PROVIDERS:
        raise ConfigError(
            f"{provider!r} is no provider whose webhooks can be verified: use one of "
            f"{', '.join(PROVIDERS)}"
        )
    from hookloop.events.keyring import Keyring

    made = PROVIDERS[provider]()
    keyring = Keyring(tuple(secrets), made)
    if not keyring.secrets:
        raise ConfigError(f"to verify webhooks of {provider} their signing secret is needed")
    return WebhookGuard(made, keyring.secrets, SystemClock())


class WebhookGuard:
    """Asks a provider of `hookloop.events` whether each request is rightly signed."""

    def __init__(self, provider: "Provider", secrets: tuple[str, ...], clock: Clock) -> None:
        self._provider = provider
        self._secrets = secrets
        self.secrets = secrets
        """For the inspector's doctor, who tries them too."""
        self._clock = clock
        self._is_explaining = False

    async def judge(self, head: RequestHead, body: bytes) -> Objection | None:
        now = self._clock.wall()
        error = self._error(head, body, now)
        if error is None:
            return None
        reasons = (f"{error.reason}: {error}", *await self._explanation(head, body, now))
        return Objection(
            STATUS, "webhook_not_verified", "the webhook is not rightly signed", reasons
        )

    def _error(self, head: RequestHead, body: bytes, now: float) -> SignatureError | None:
        from hookloop.signing import TOLERANCE_SECONDS

        request = _incoming(head, body)
        try:
            signer = self._provider.verify(
                request, self._secrets, now=now, tolerance=TOLERANCE_SECONDS
            )
        except SignatureError as error:
            return error
        return signer if isinstance(signer, SignatureError) else None

    async def _explanation(self, head: RequestHead, body: bytes, now: float) -> tuple[str, ...]:
        """
        Return what the doctor finds, which knows Stripe.

        Its search is work, and anybody can send a forged request: so one at a time, in a
        thread, and not for large bodies. Without it the reason above still stands.
        """
        is_worth_it = self._provider.name == "stripe" and len(body) <= EXPLAINED_BYTES_MAX
        if not is_worth_it or self._is_explaining:
            return ()
        self._is_explaining = True
        try:
            return await asyncio.to_thread(_diagnosis, head, body, self._secrets, now)
        finally:
            self._is_explaining = False


def _incoming(head: RequestHead, body: bytes) -> "Incoming":
    from hookloop.events.incoming import Incoming

    method, path = head.method.decode("latin-1"), head.target.decode("latin-1")
    return Incoming(body, head.headers, method=method, path=path)


def _texts(head: RequestHead) -> Any:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)


def _diagnosis(
    head: RequestHead, body: bytes, secrets: tuple[str, ...], now: float
) -> tuple[str, ...]:
    from hookloop.doctor import Case, diagnose

    labelled = {f"secret {number}": secret for number, secret in enumerate(secrets, 1)}
    case = Case(
        body=body,
        headers=_texts(head),
        secrets=labelled,
        now=now,
        method=head.method.decode("latin-1"),
        url=head.target.decode("latin-1"),
        used=frozenset(labelled),
    )
    return tuple(
        f"{finding.code}: {finding.what}; {finding.next_step}" for finding in diagnose(case)
    )
