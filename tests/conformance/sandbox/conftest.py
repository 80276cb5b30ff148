"""Fixtures of the tests that run a whole sandbox on a socket."""

from collections.abc import Callable

import pytest
import stripe
from receiver import ManualClock


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def client_of() -> Callable[..., stripe.StripeClient]:
    """Return a maker of official clients with nothing changed but the base address."""

    def made(url: str, key: str = "sk_test_one") -> stripe.StripeClient:
        return stripe.StripeClient(key, base_addresses={"api": url})

    return made
