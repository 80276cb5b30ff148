"""
Webhook endpoints: the URLs an account's events are delivered to.

The secret is told once, in the answer to the creation. See
https://docs.stripe.com/api/webhook_endpoints.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from hookloop.sandbox.arguments import (
    Arguments,
    Boolean,
    Choice,
    Fields,
    Integer,
    ListOf,
    MetadataField,
    Text,
)
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.delivery import ALL_EVENTS, Delivery, DeliveryState, visible_delivery
from hookloop.sandbox.errors import ApiError, invalid_parameter, no_such_object
from hookloop.sandbox.metadata import merged_metadata
from hookloop.sandbox.pagination import EXPAND_FIELD, LIST_FIELDS, list_page
from hookloop.sandbox.sample_event import sample_event
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import ENDPOINT_KIND as KIND
from hookloop.sandbox.transaction import SAMPLE_EVENT_KIND, Transaction

__all__ = ["OPERATIONS", "create", "delete", "list_", "retrieve", "update"]

URL = "/v1/webhook_endpoints"

ENDPOINTS_MAX = 16  # Stripe's, for each account.
ENABLED_EVENTS_MAX = 1000  # Several times the number of types there are.
LISTED_MAX = 100  # As in Stripe's lists.
URL_CHARS_MAX = 2048  # What clients and proxies in between agree on.

ROLL_SECONDS_MAX = 24 * 3600  # Stripe's: the old secret signs beside the new one for a day at most.

_PRIVATE = ("secret", "connect", "failing_since", "old_secret", "old_secret_until")
"""Stored with the endpoint, and no part of it as clients see it."""

_ENABLED_EVENTS = Text(chars_max=200, unsettable=False)

UPDATE_FIELDS: Fields = {
    "description": Text(),
    "disabled": Boolean(),
    "enabled_events": ListOf(_ENABLED_EVENTS, items_max=ENABLED_EVENTS_MAX),
    "expand": EXPAND_FIELD,
    "metadata": MetadataField(),
    "url": Text(chars_max=URL_CHARS_MAX, unsettable=False),
}

CREATE_FIELDS: Fields = {
    "api_version": Text(unsettable=False),
    "connect": Boolean(),
    "description": Text(),
    "enabled_events": ListOf(_ENABLED_EVENTS, items_max=ENABLED_EVENTS_MAX, required=True),
    "expand": EXPAND_FIELD,
    "metadata": MetadataField(),
    "url": Text(chars_max=URL_CHARS_MAX, unsettable=False, required=True),
}


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Register a URL; the answer is the only one that holds the secret."""
    if transaction.store.count(KIND) >= ENDPOINTS_MAX:
        raise ApiError(
            400,
            f"You have reached the maximum of {ENDPOINTS_MAX} test webhook endpoints. Delete one "
            "first.",
        )
    endpoint: Json = {
        "id": transaction.new_record_id("we"),
        "object": "webhook_endpoint",
        "api_version": _api_version(arguments.get("api_version"), transaction),
        "application": None,
        "created": transaction.created,
        "description": arguments.get("description"),
        "enabled_events": _event_types(arguments["enabled_events"], transaction),
        "livemode": False,
        "metadata": merged_metadata({}, arguments.get("metadata")),
        "secret": transaction.new_secret(),
        "status": "enabled",
        "url": _url(arguments["url"]),
        "connect": arguments.get("connect", False),
    }
    transaction.put(KIND, endpoint)
    return {name: value for name, value in endpoint.items() if name != "connect"}


def retrieve(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Return an endpoint without its secret."""
    return _visible(_existing(transaction, path["id"]))


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change what is named; no event tells of it. A disabled endpoint's deliveries are given up."""
    endpoint = dict(_existing(transaction, path["id"]))
    if "url" in arguments:
        endpoint["url"] = _url(arguments["url"])
    if "enabled_events" in arguments:
        endpoint["enabled_events"] = _event_types(arguments["enabled_events"], transaction)
    if "disabled" in arguments:
        endpoint["status"] = "disabled" if arguments["disabled"] else "enabled"
        endpoint["failing_since"] = None
        if arguments["disabled"]:
            transaction.abandon_deliveries(endpoint["id"], "the endpoint was disabled")
    if "description" in arguments:
        endpoint["description"] = arguments["description"]
    if "metadata" in arguments:
        endpoint["metadata"] = merged_metadata(endpoint["metadata"], arguments["metadata"])
    transaction.put(KIND, endpoint)
    return _visible(endpoint)


def roll_secret(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """
    Give an endpoint a new secret; this answer alone holds it.

    For *expires_in* seconds, a day where nobody says, both secrets sign what is sent. At Stripe a
    person does this, in the dashboard.
    """
    endpoint = dict(_existing(transaction, path["id"]))
    endpoint["old_secret"] = endpoint["secret"]
    endpoint["old_secret_until"] = transaction.now + arguments.get("expires_in", ROLL_SECONDS_MAX)
    endpoint["secret"] = transaction.new_secret()
    transaction.put(KIND, endpoint)
    return {**_visible(endpoint), "secret": endpoint["secret"]}


def send_sample(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Send an endpoint the sample event of a type, as "Send test webhook" does; once."""
    endpoint = _existing(transaction, path["id"])
    [event_type] = _event_types([arguments["type"]], transaction)
    event = sample_event(
        event_type,
        transaction.random,
        at=transaction.created,
        api_version=endpoint["api_version"] or transaction.catalogue.api_version,
    )
    transaction.put(SAMPLE_EVENT_KIND, event)
    transaction.changes.deliveries.append(Delivery(event["id"], endpoint["id"]))
    return event


def list_deliveries(
    transaction: Transaction, arguments: Arguments, path: Mapping[str, str]
) -> Json:
    """Return what the endpoint was owed of late, newest first, attempt by attempt."""
    endpoint = _existing(transaction, path["id"])
    state = arguments.get("state")
    found = [
        visible_delivery(delivery, endpoint)
        for delivery in transaction.store.deliveries_to(endpoint["id"])
        if state is None or delivery.state.value == state
    ]
    limit = arguments.get("limit", 10)
    return {
        "object": "list",
        "data": found[:limit],
        "has_more": len(found) > limit,
        "url": f"{URL}/{endpoint['id']}/deliveries",
    }


def delete(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Forget an endpoint; what is pending for it is given up."""
    endpoint = _existing(transaction, path["id"])
    transaction.remove(KIND, endpoint["id"])
    transaction.abandon_deliveries(endpoint["id"], "the endpoint was deleted")
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


def list_(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Return a page of endpoints, newest first, without their secrets."""
    page = list_page(transaction.store, KIND, arguments, url=URL)
    return {**page, "data": [_visible(endpoint) for endpoint in page["data"]]}


def _existing(transaction: Transaction, endpoint_id: str) -> Json:
    endpoint = transaction.find(KIND, endpoint_id)
    if endpoint is None:
        raise no_such_object(KIND, endpoint_id)
    return endpoint


def _visible(endpoint: Json) -> Json:
    return {name: value for name, value in endpoint.items() if name not in _PRIVATE}


def _api_version(given: str | None, transaction: Transaction) -> str | None:
    """Return the version frozen for the endpoint; None leaves it to the account's."""
    if given is not None and given not in transaction.catalogue.api_versions:
        raise invalid_parameter(
            f"Invalid api_version: {given[:40]} is not a version of the Stripe API.", "api_version"
        )
    return given


def _event_types(given: list[str], transaction: Transaction) -> list[str]:
    """Return *given* without repeats, once every one of them is known."""
    known = transaction.catalogue.event_types
    for index, event_type in enumerate(given):
        if event_type != ALL_EVENTS and event_type not in known:
            raise invalid_parameter(
                f"Invalid enabled_events[{index}]: '{event_type[:80]}' is not an event type of "
                f"Stripe API version {transaction.catalogue.api_version}; use '*' for all.",
                f"enabled_events[{index}]",
            )
    return list(dict.fromkeys(given))


def _url(given: str) -> str:
    """
    Return *given* if events can be posted there.

    Stripe asks for https in live mode; a sandbox exists to deliver to loopback,
    so http and any host are welcome.
    """
    try:
        parts = urlsplit(given)
        reachable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an impossible port or IPv6 address
        reachable = False
    if not reachable or not given.isprintable() or " " in given:
        raise invalid_parameter(
            "Invalid URL: it must be absolute, with a host after http:// or https://.",
            "url",
            "url_invalid",
        )
    return given


_ONE = f"{URL}/{{id}}"

OPERATIONS = (
    simulated("POST", URL, create, **CREATE_FIELDS),
    simulated("GET", URL, list_, **LIST_FIELDS),
    simulated("GET", _ONE, retrieve),
    simulated("POST", _ONE, update, **UPDATE_FIELDS),
    simulated("DELETE", _ONE, delete),
    # Stripe has these in its dashboard only.
    simulated(
        "POST",
        f"{_ONE}/roll_secret",
        roll_secret,
        expires_in=Integer(minimum=0, maximum=ROLL_SECONDS_MAX),
    ),
    simulated(
        "POST",
        f"{_ONE}/send_sample",
        send_sample,
        type=Text(chars_max=200, unsettable=False, required=True),
    ),
    simulated(
        "GET",
        f"{_ONE}/deliveries",
        list_deliveries,
        limit=Integer(minimum=1, maximum=LISTED_MAX),
        state=Choice(tuple(state.value for state in DeliveryState)),
    ),
)
