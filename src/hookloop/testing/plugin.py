"""
The pytest plugin: the fixtures ``stripe_events`` and ``stripe_sandbox``.

Its secret and its seed are the settings ``stripe_events_secret`` and ``stripe_events_seed``
of pytest's configuration file, or fixtures of these names that a conftest overrides.
"""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .captures import Captures
    from .stripe_events import StripeEvents
    from .stripe_sandbox import SandboxServer, StripeSandbox

__all__ = [
    "pytest_addoption",
    "stripe_events",
    "stripe_events_secret",
    "stripe_events_seed",
    "stripe_sandbox",
    "stripe_sandbox_server",
    "stripe_sandbox_settings",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the two settings."""
    from .signed_request import SECRET

    parser.addini(
        "stripe_events_secret", "signing secret of the fixture stripe_events", default=SECRET
    )
    parser.addini(
        "stripe_events_seed", "what the fixture stripe_events makes its events from", default="0"
    )


@pytest.fixture
def stripe_events_secret(pytestconfig: pytest.Config) -> Any:
    """The signing secret, or several: override it with the one your app is configured with."""
    return pytestconfig.getini("stripe_events_secret")


@pytest.fixture
def stripe_events_seed(pytestconfig: pytest.Config) -> Any:
    """What ids and chaos are drawn from: the same seed gives the same test."""
    return pytestconfig.getini("stripe_events_seed")


@pytest.fixture
def stripe_events(stripe_events_secret: Any, stripe_events_seed: Any) -> "StripeEvents":
    """Make, sign, send, and deliver badly: `hookloop.testing` with one secret and one seed."""
    from .stripe_events import StripeEvents

    return StripeEvents(stripe_events_secret, stripe_events_seed)


@pytest.fixture(scope="session")
def stripe_sandbox_settings() -> dict[str, Any]:
    """What the sandbox of ``stripe_sandbox`` is set to, such as ``chaos``: override it."""
    return {}


@pytest.fixture(scope="session")
def stripe_sandbox_server(stripe_sandbox_settings: dict[str, Any]) -> "Iterator[SandboxServer]":
    """The sandbox that all tests of this process share; each has an account of its own in it."""
    from .stripe_sandbox import running_server

    with running_server(**stripe_sandbox_settings) as server:
        yield server


@pytest.fixture
def stripe_sandbox(stripe_sandbox_server: "SandboxServer") -> "Iterator[StripeSandbox]":
    """A Stripe with an empty account, whose events are delivered to what the test connects."""
    account = stripe_sandbox_server.account()
    yield account
    account.close()


@pytest.fixture
def captures() -> "Captures":
    """Wait for what comes through a tunnel: give it to `hookloop.tunnel.connect` as its sink."""
    from .captures import captures

    return captures()
