"""
Events: what happened to the account's objects, kept for thirty days.

See https://docs.stripe.com/api/events.
"""

from collections.abc import Callable, Mapping
from fnmatch import translate
from re import compile as compile_pattern

from hookloop.sandbox.arguments import Arguments, Boolean, Fields, ListOf, Text
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.delivery import pending_webhooks
from hookloop.sandbox.errors import exclusive_parameters, no_such_object
from hookloop.sandbox.pagination import LIST_FIELDS, CreatedField, list_page
from hookloop.sandbox.store import Json, Store
from hookloop.sandbox.transaction import EVENT_KIND as KIND
from hookloop.sandbox.transaction import Transaction

__all__ = ["OPERATIONS", "RETENTION_SECONDS", "list_", "retrieve", "visible_event"]

URL = "/v1/events"

RETENTION_SECONDS = 30 * 24 * 3600.0  # Stripe's: the API tells of events for thirty days.
TYPES_MAX = 20  # Stripe's, for one filter.


def retrieve(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Return an event."""
    event = transaction.find(KIND, path["id"])
    if event is None or event["created"] < transaction.now - RETENTION_SECONDS:
        raise no_such_object(KIND, path["id"])
    return visible_event(event, transaction.store)


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
)
