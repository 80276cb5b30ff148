"""Asks Stripe, or a sandbox, for an endpoint; through the official package."""

import stripe

from hookloop.doctor import Endpoint
from hookloop.errors import ConfigError, RefusedError, RemoteError
from hookloop.sandbox.catalogue import installed_catalogue

__all__ = ["known_event_types", "read_endpoint", "sdk_api_version"]


def known_event_types() -> list[str]:
    """Return the event types the installed package knows, in their order."""
    return sorted(installed_catalogue().event_types)


def sdk_api_version() -> str:
    """Return the API version the installed package is made for."""
    return stripe.api_version


def read_endpoint(endpoint_id: str, api_key: str, api_base: str | None) -> Endpoint:
    """
    Return the endpoint *endpoint_id*.

    Raises `ConfigError` where the key or the id is not right, another `RemoteError`
    where the API does not answer.
    """
    if not api_key.strip():
        raise ConfigError("to compare with an endpoint give --api-key, or set STRIPE_API_KEY")
    client = (
        stripe.StripeClient(api_key.strip())
        if api_base is None
        else stripe.StripeClient(api_key.strip(), base_addresses={"api": api_base.rstrip("/")})
    )
    try:
        found = client.v1.webhook_endpoints.retrieve(endpoint_id)
    except (stripe.AuthenticationError, stripe.PermissionError):
        raise ConfigError(
            "the API key is not accepted, or may not read webhook endpoints"
        ) from None
    except stripe.InvalidRequestError:
        raise ConfigError(
            f"the account of this key has no endpoint {endpoint_id}: test and live mode have "
            "endpoints of their own"
        ) from None
    except stripe.APIConnectionError:
        raise RemoteError("the API cannot be reached: is --api-base right?") from None
    except stripe.StripeError as error:
        raise RefusedError(
            str(error.code or "api_error"), f"the API answered {error.http_status}; try again"
        ) from None
    return Endpoint(
        id=found.id,
        url=found.url,
        enabled_events=tuple(found.enabled_events),
        api_version=found.api_version,
        is_enabled=found.status != "disabled",
    )
