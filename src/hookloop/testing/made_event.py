"""Events of any type, as Stripe would send them."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from random import Random, SystemRandom
from typing import Any

from hookloop.clock import SystemClock
from hookloop.errors import ConfigError
from hookloop.shapes.package import closest, object_class, snapshot_types, stripe_package
from hookloop.shapes.sample import Json, Sampler
from hookloop.shapes.sample_ids import sample_id

from .clock import START_SECONDS
from .overrides import override, unfold
from .states import settle
from .thin import related_object, thin_types

__all__ = ["make", "make_thin"]

_CHANGEABLE = ("name", "description", "email", "nickname", "display_name", "metadata", "status")
"""What an update most likely changed, where the test does not say."""
_FIXED = frozenset({"id", "object", "livemode", "created"})


def make(  # the fields of an event, each with its usual value
    type: str,  # noqa: A002  # Stripe's own name
    fields: Mapping[str, Any] | None = None,
    /,
    *,
    id: str | None = None,  # noqa: A002  # Stripe's own name
    created: float | None = None,
    livemode: bool = False,
    account: str | None = None,
    api_version: str | None = None,
    previous: Mapping[str, Any] | None = None,
    seed: int | str | None = None,
    **more_fields: Any,
) -> Json:
    """
    Return an event of *type* as the dict its JSON stands for, made from the `stripe` package.

        make("invoice.paid", amount_paid=100, customer="cus_1")
        make("customer.updated", {"id": "cus_1"}, email="new@example.com")
        make("customer.subscription.created", items__data__0__quantity=3)

    ``data.object`` has every field its class declares, with a plausible value. *more_fields*
    change some of them, also inside: ``items__data__0__quantity``, or a mapping for an
    object. *fields* does the same with a dot for ``__``, and takes those fields of the object
    that are named like one of ours: ``id``, ``created`` and the others are the event's own.

    *created*: Unix seconds, now by default. *account*: the connected account it comes from.
    *previous*: ``data.previous_attributes``; by default, for a type that ends in
    ``.updated``, other values of the fields you set. No two events are alike, but with
    *seed*: then the same arguments give the same event, ids included, made on 2026-01-01.

    A thin type, ``v1.*`` or ``v2.*``, is for `make_thin`. Raises `ConfigError` for a type or
    a field Stripe does not have, with the closest one it has, and without the `stripe`
    package, with the line to type.
    """
    _check_type(type, snapshot_types(), "make_thin", thin_types())
    random, at = _source(seed, type, created)
    sampler = Sampler(random, at=int(at), livemode=livemode)
    class_ = object_class(type)
    object_ = sampler.object_of(class_)
    settle(type, object_, class_)
    before = deepcopy(object_)
    wishes = unfold({**(fields or {}), **more_fields})
    override(object_, class_, wishes, sampler)
    data: Json = {"object": object_}
    if previous is not None:
        data["previous_attributes"] = _checked_previous(previous, before, class_, sampler)
    elif type.endswith(".updated"):
        data["previous_attributes"] = _likely_previous(object_, before, wishes)
    event = {
        "id": id or sample_id("event", random),
        "object": "event",
        "api_version": api_version or stripe_package().api_version,
        "created": int(at),
        "data": data,
        "livemode": livemode,
        "pending_webhooks": 1,
        "request": _request(random),
        "type": type,
    }
    return event if account is None else {**event, "account": account}


def make_thin(  # as `make`
    type: str,  # noqa: A002  # Stripe's own name
    /,
    *,
    id: str | None = None,  # noqa: A002  # Stripe's own name
    created: float | None = None,
    livemode: bool = False,
    context: str | None = None,
    related_id: str | None = None,
    twin: Mapping[str, Any] | None = None,
    seed: int | str | None = None,
) -> Json:
    """
    Return a thin event of *type*, which names its object and does not carry it.

    *context*: the account it comes from. *related_id*: the id of the object. *twin*: the
    snapshot event that tells the same, for an account that gets both: the thin one is about
    the same object, and its ``snapshot_event``, the id of the other, is the key to handle
    only one. Otherwise as `make`. Raises `ConfigError` for a type Stripe does not have, and
    for a twin of another type.
    """
    _check_type(type, thin_types(), "make", snapshot_types())
    random, at = _source(seed, type, created)
    told: Json = {}
    if twin is not None:
        if type != f"v1.{twin['type']}":
            raise ConfigError(
                f"{type} is no twin of {twin['type']}, which would be v1.{twin['type']}"
            )
        told["snapshot_event"] = twin["id"]
        context = context or twin.get("account")
        livemode = twin["livemode"]
        at = twin["created"]
        related_id = twin["data"]["object"].get("id")
    if context is not None:
        told["context"] = context
    sampler = Sampler(random, at=int(at), livemode=livemode)
    instant = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return {
        "id": id or sample_id("event", random),
        "object": "v2.core.event",
        "type": type,
        "livemode": livemode,
        "created": instant.replace("+00:00", "Z"),
        "reason": {"type": "request", "request": _request(random)},
        "related_object": related_object(type, sampler, id_=related_id),
        **told,
    }


def _check_type(type_: str, known: frozenset[str], other: str, others: frozenset[str]) -> None:
    if type_ in others:
        raise ConfigError(f"{type_} is for {other}(): {type_!r} is of the other kind of events")
    if type_ not in known:
        raise ConfigError(
            f"the stripe package {stripe_package().VERSION} has no event type "
            f"{type_!r}{closest(type_, known | others)}"
        )


def _source(seed: int | str | None, type_: str, created: float | None) -> tuple[Random, float]:
    """Return where ids come from, and when the event happened."""
    if seed is None:
        return SystemRandom(), SystemClock().wall() if created is None else created
    random = Random(f"{seed}/{type_}")  # noqa: S311  # samples, not secrets
    return random, START_SECONDS if created is None else created


def _request(random: Random) -> Json:
    key = f"{random.getrandbits(128):032x}"
    dashed = "-".join((key[:8], key[8:12], key[12:16], key[16:20], key[20:]))
    return {"id": sample_id("request", random), "idempotency_key": dashed}


def _checked_previous(
    wanted: Mapping[str, Any], before: Json, class_: type, sampler: Sampler
) -> Json:
    """Return *wanted* as previous attributes: only what was changed, deep inside as well."""
    wishes = unfold(wanted)
    override(before, class_, wishes, sampler)  # for its errors: the fields must exist
    return wishes


def _likely_previous(object_: Json, before: Json, wishes: Json) -> Json:
    names = list(wishes)
    if not names:
        likely = [name for name in _CHANGEABLE if name in object_]
        others = [name for name in object_ if name not in _FIXED]
        # A plain value before a nested object: it is what a reader expects to see changed.
        others.sort(key=lambda name: isinstance(object_[name], dict))
        names = [*likely, *others][:1]
    return {name: _other_value(object_[name], before.get(name)) for name in names}


def _other_value(value: Any, before: Any) -> Any:
    """Return what a field may have held before it was *value*."""
    if before != value:
        return before
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value} (before)"
        case None:
            return "before"
        case dict() if value:
            name, inner = next(iter(value.items()))
            return {name: _other_value(inner, inner)}
    return {"hookloop": "before"} if value == {} else None
