"""
Events: what happened to the account's objects, kept for thirty days.

See https://docs.stripe.com/api/events.
"""

from collections.abc import Callable, Mapping
from fnmatch import translate
from re import compile as compile_pattern

from hookloop.sandbox.arguments import Arguments, Boolean, Fields, ListOf, Text
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.delivery import (
    Delivery,
    owed_endpoints,
    pending_webhooks,
    redelivered,
    visible_delivery,
)
from hookloop.sandbox.errors import bad_reference, exclusive_parameters, no_such_object
from hookloop.sandbox.pagination import LIST_FIELDS, CreatedField, list_page
from hookloop.sandbox.store import Json, Store
from hookloop.sandbox.transaction import ENDPOINT_KIND, Transaction
from hookloop.sandbox.transaction import EVENT_KIND as KIND

__all__ = ["OPERATIONS", "RETENTION_SECONDS", "list_", "retrieve", "visible_event"]

URL = "/v1/events"

RETENTION_SECONDS = 30 * 24 * 3600.0  # Stripe's: the API tells of events for thirty days.
TYPES_MAX = 20  # Stripe's, for one filter.


def retrieve(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Return an event."""
    return visible_event(_existing(transaction, path["id"]), transaction.store)


def list_(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Return a page of events, newest first, filtered by type, time and delivery."""
    if "type" in arguments and "types" in arguments:
        raise exclusive_parameters("type", "types")
    matches = _matcher(transaction, arguments)
    page = list_page(transaction.store, KIND, arguments, url=URL, matches=matches)
    return {**page, "data": [visible_event(event, transaction.store) for event in page["data"]]}


def visible_event(event: Json, store: Store) -> Json:
    """Return *event* with the number of endpoints that have yet to take it."""
    return {**event, "pending_webhooks": pending_webhooks(store.deliveries_of(event["id"]))}


def retry(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """
    Deliver an event again, to the endpoint named or to all that want its type.

    What Stripe's command line and dashboard call to resend; the former may ask for it itself.
    """
    event = _existing(transaction, path["id"])
    if arguments.get("for_stripecli"):
        transaction.changes.told_again.append(event)
        return visible_event(event, transaction.store)
    endpoints = transaction.store.everything(ENDPOINT_KIND)
    wanted = arguments.get("webhook_endpoint")
    if wanted is None:
        owed = owed_endpoints(event["type"], endpoints)
    elif transaction.find(ENDPOINT_KIND, wanted) is None:
        raise bad_reference(ENDPOINT_KIND, wanted, "webhook_endpoint")
    else:
        owed = [wanted]
    known = {one.endpoint_id: one for one in transaction.store.deliveries_of(event["id"])}
    transaction.changes.deliveries.extend(
        redelivered(known.get(endpoint_id) or Delivery(event["id"], endpoint_id))
        for endpoint_id in owed
    )
    return {**event, "pending_webhooks": len(owed)}


def list_deliveries(
    transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]
) -> Json:
    """Return what became of an event at each endpoint, attempt by attempt."""
    event = _existing(transaction, path["id"])
    deliveries = transaction.store.deliveries_of(event["id"])
    return {
        "object": "list",
        "data": [
            visible_delivery(one, transaction.find(ENDPOINT_KIND, one.endpoint_id))
            for one in deliveries
        ],
        "has_more": False,
        "url": f"{URL}/{event['id']}/deliveries",
    }


def _existing(transaction: Transaction, wanted: str) -> Json:
    event = transaction.find(KIND, wanted)
    if event is None or event["created"] < transaction.now - RETENTION_SECONDS:
        raise no_such_object(KIND, wanted)
    return event


def _matcher(transaction: Transaction, arguments: Arguments) -> Callable[[Json], bool]:
    oldest = transaction.now - RETENTION_SECONDS
    created = arguments.get("created")
    delivered = arguments.get("delivery_success")
    wanted = _type_matcher(arguments)

    def matches(event: Json) -> bool:
        return (
            event["created"] >= oldest
            and wanted(event["type"])
            and (created is None or event["created"] in created)
            and (delivered is None or delivered == _is_delivered(event, transaction.store))
        )

    return matches


def _type_matcher(arguments: Arguments) -> Callable[[str], bool]:
    """Return what says whether a type is wanted; ``*`` in ``type`` stands for anything."""
    types = arguments.get("types")
    if types is not None:
        return frozenset(types).__contains__
    pattern = arguments.get("type")
    if pattern is None:
        return lambda _: True
    if "*" not in pattern:
        return lambda event_type: bool(event_type == pattern)
    # Only the star is special to Stripe; fnmatch knows ? and [ as well.
    escaped = pattern.replace("[", "[[]").replace("?", "[?]")
    compiled = compile_pattern(translate(escaped))
    return lambda event_type: compiled.match(event_type) is not None


def _is_delivered(event: Json, store: Store) -> bool:
    return pending_webhooks(store.deliveries_of(event["id"])) == 0


LIST: Fields = {
    **LIST_FIELDS,
    "created": CreatedField(),
    "delivery_success": Boolean(),
    "type": Text(chars_max=200, unsettable=False),
    "types": ListOf(Text(chars_max=200, unsettable=False), items_max=TYPES_MAX),
}

OPERATIONS = (
    simulated("GET", URL, list_, **LIST),
    simulated("GET", f"{URL}/{{id}}", retrieve),
    simulated("GET", f"{URL}/{{id}}/deliveries", list_deliveries),
    simulated(
        "POST",
        f"{URL}/{{id}}/retry",
        retry,
        for_stripecli=Boolean(),
        webhook_endpoint=Text(unsettable=False),
        account=Text(),
    ),
)
