"""
Who signs webhooks, and how: one file a sender.

`provider` says what a sender must be able to do; `stripe` is the one that `Hooks`
uses; the others go with `ProviderHooks`. All are pure.
"""

from .github import GitHub
from .provider import Provider
from .shopify import Shopify
from .slack import Slack
from .standard import StandardWebhooks
from .stripe import Stripe

__all__ = ["GitHub", "Provider", "Shopify", "Slack", "StandardWebhooks", "Stripe"]
