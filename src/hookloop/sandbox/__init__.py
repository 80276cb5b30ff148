"""
A stateful, Stripe-compatible API on this machine, whose events are really delivered.

    async with running_sandbox(SandboxConfig(port=0)) as sandbox:
        client = stripe.StripeClient("sk_test_me", base_addresses={"api": sandbox.url})

Every API key shaped like a test key has an account of its own. State is in memory.
Pure inside (`api`, `objects`, `delivery`), with two shells: `server` and `worker`.
The handler library is never imported: the sandbox is an independent judge of it.
"""

from .chaos import Chaos
from .config import PORT_DEFAULT, SandboxConfig
from .observer import (
    AttemptEnded,
    AttemptStarted,
    DeliveryObserver,
    RequestAnswered,
    RequestObserver,
)
from .server import Sandbox, SandboxStatistics, running_sandbox

__all__ = [
    "PORT_DEFAULT",
    "AttemptEnded",
    "AttemptStarted",
    "Chaos",
    "DeliveryObserver",
    "RequestAnswered",
    "RequestObserver",
    "Sandbox",
    "SandboxConfig",
    "SandboxStatistics",
    "running_sandbox",
]
