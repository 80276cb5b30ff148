"""
Who signs webhooks, and how: one file a sender.

`provider` says what a sender must be able to do; `stripe` is the one that `Hooks`
uses; the others go with `ProviderHooks`. All are pure.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .github import GitHub
    from .provider import Provider
    from .shopify import Shopify
    from .slack import Slack
    from .standard import StandardWebhooks
    from .stripe import Stripe

__all__ = ["GitHub", "Provider", "Shopify", "Slack", "StandardWebhooks", "Stripe"]

# Most processes need one of them: each is imported when it is asked for (PEP 562).
_FILES = {
    "GitHub": "github",
    "Provider": "provider",
    "Shopify": "shopify",
    "Slack": "slack",
    "StandardWebhooks": "standard",
    "Stripe": "stripe",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_FILES[name]}", __name__), name)
