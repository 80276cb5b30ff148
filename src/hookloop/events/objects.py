"""Where events meet the `stripe` package: imported when a handler asks for its classes."""

import json
from typing import TYPE_CHECKING, Any, Literal

from hookloop.errors import ConfigError

if TYPE_CHECKING:
    import stripe

    from .event import Event

__all__ = ["afetch_object", "build_event", "build_object", "fetch_object", "retrieve_event"]

NOT_FOUND = 404


def build_event(event: "Event[Any]") -> "stripe.Event":
    """Return *event* as a `stripe.Event`."""
    package = _stripe()
    built: stripe.Event = package.Event.construct_from(
        event.payload, package.api_key, stripe_account=event.account
    )
    return built


def build_object(event: "Event[Any]") -> Any:
    """Return the object of a snapshot *event* as its class, `stripe.Invoice` for an invoice."""
    if event.is_thin or not event.data:
        raise ConfigError(
            f"{event!r} carries no object: a thin event only names one; fetch() gets it"
        )
    return build_event(event).data.object


def fetch_object(event: "Event[Any]", client: Any) -> Any:
    """Return what *event* is about, as it is now, by a request to the API."""
    known = client or _default_client()
    url = _url(event)
    response = known.raw_request("get", url, **_account(event))
    return known.deserialize(response, api_mode=_api_mode(url))


async def afetch_object(event: "Event[Any]", client: Any) -> Any:
    """Do what `fetch_object` does, without blocking the event loop."""
    known = client or _default_client()
    url = _url(event)
    response = await known.raw_request_async("get", url, **_account(event))
    return known.deserialize(response, api_mode=_api_mode(url))


def retrieve_event(id_: str, client: Any) -> dict[str, Any] | None:
    """Return the event *id_* as the API tells it, or None where it has none."""
    package = _stripe()
    known = client or _default_client()
    try:
        response = known.raw_request("get", f"/v1/events/{id_}")
    except package.InvalidRequestError as error:
        if error.http_status == NOT_FOUND:
            return None
        raise
    found: dict[str, Any] = json.loads(response.body)
    return found


def _url(event: "Event[Any]") -> str:
    if event.related is not None:
        return event.related.url
    if not event.is_thin and hasattr(build_object(event), "instance_url"):
        return str(build_object(event).instance_url())
    raise ConfigError(f"{event!r} names no object that can be fetched")


def _account(event: "Event[Any]") -> dict[str, str]:
    if event.context:
        return {"stripe_context": event.context}
    return {"stripe_account": event.account} if event.account else {}


def _api_mode(url: str) -> Literal["V1", "V2"]:
    return "V2" if url.startswith("/v2/") else "V1"


def _default_client() -> "stripe.StripeClient":
    package = _stripe()
    if not package.api_key:
        raise ConfigError(
            "no way to ask Stripe's API: give Hooks(client=stripe.StripeClient(...)), or set "
            "stripe.api_key"
        )
    client: stripe.StripeClient = package.StripeClient(package.api_key)
    return client


def _stripe() -> Any:
    try:
        import stripe
    except ImportError:
        raise ConfigError(
            "typed objects and requests to the API need the stripe package: pip install stripe"
        ) from None
    return stripe
