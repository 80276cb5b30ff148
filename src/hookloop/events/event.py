"""A received event: a light, immutable view of the payload, which stays whole."""

import builtins
import json
from typing import TYPE_CHECKING, Any, Generic, NoReturn, cast

from hookloop.errors import ConfigError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    import stripe
    from typing_extensions import TypeVar

    # The default lets a handler say `Event` where the class does not matter.
    T_co = TypeVar("T_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

__all__ = [
    "PLACEHOLDER_ID",
    "Event",
    "PayloadError",
    "Related",
    "read_payload",
    "read_stripe_event",
]

PLACEHOLDER_ID = "evt_00000000000000"
"""The id of every event that the dashboard's old "send test webhook" button makes."""


class PayloadError(RemoteError):
    """A signed body that is no event: nothing can be dispatched from it."""


class Related:
    """What a thin event speaks of: it names the object and does not carry it."""

    __slots__ = ("id", "type", "url")

    def __init__(self, id: str, type: str, url: str) -> None:  # noqa: A002  # Stripe's own names
        self.id = id
        self.type = type
        """Such as ``invoice`` or ``v2.core.account``."""
        self.url = url
        """The path to fetch it from, such as ``/v1/invoices/in_...``."""

    def __repr__(self) -> str:
        return f"<Related {self.type} {self.id}>"


class Event(Generic[T_co]):
    """
    What has happened, as its sender says. See https://docs.stripe.com/api/events/object.

    Fields Stripe adds later are in `payload`. Events can be pickled, compared, and
    turned to JSON (`to_dict`, `raw`). The repr names the event and shows nothing of
    what is in it, so it is safe to log.
    """

    __slots__ = ("_client", "_object", "id", "is_thin", "payload", "raw", "secret_label", "type")

    id: str
    """``evt_...``: the same for every delivery of the event."""
    type: str
    """Such as ``customer.updated``."""
    payload: dict[str, Any]
    """The whole body, parsed."""
    raw: bytes
    """The whole body as it was signed."""
    is_thin: bool
    """Whether it only names its object (`related`): see `fetch`."""
    secret_label: str | None
    """The label of the secret that signed it; None where no signature was checked."""
    _client: Any
    _object: Any

    def __init__(
        self,
        payload: dict[str, Any],
        raw: bytes,
        *,
        id: str,  # noqa: A002  # Stripe's own name
        type: str,  # noqa: A002  # Stripe's own name
        is_thin: bool = False,
        secret_label: str | None = None,
        client: object = None,
    ) -> None:
        _fill(self, payload, raw, id, type, is_thin, secret_label, client)

    # --- fields -----------------------------------------------------------------------------

    @property
    def created(self) -> int:
        """When it happened, in Unix seconds; 0 where the event does not say."""
        value = self.payload.get("created")
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return _seconds(value) if isinstance(value, str) else 0

    @property
    def livemode(self) -> bool:
        """Whether real money is meant."""
        return self.payload.get("livemode") is True

    @property
    def account(self) -> str | None:
        """The connected account a snapshot event comes from, for Connect."""
        return _text(self.payload, "account")

    @property
    def context(self) -> str | None:
        """The account (or path of accounts) a thin event comes from."""
        return _text(self.payload, "context")

    @property
    def api_version(self) -> str | None:
        """The API version its object is rendered in; None for thin events."""
        return _text(self.payload, "api_version")

    @property
    def request_id(self) -> str | None:
        """The API request that caused it, ``req_...``; None where Stripe itself did."""
        return _text(self._request(), "id")

    @property
    def request_idempotency_key(self) -> str | None:
        """The key of the API request that caused it."""
        return _text(self._request(), "idempotency_key")

    def idempotency_key(self, handler: "Callable[..., Any] | str") -> str:
        """
        Return a key for what *handler* does outside for this event: the same at each attempt.

        For the API it calls, as in ``stripe.Refund.create(..., idempotency_key=...)``: a retry
        then has no second effect. *handler* is the function, or a name of yours where it does
        several things.
        """
        from hashlib import sha256

        name = handler
        if not isinstance(name, str):
            name = getattr(handler, "__qualname__", None) or type(handler).__qualname__
        account, livemode, fact = self.key
        told = json.dumps([account, livemode, fact, name])
        return f"hookloop-{sha256(told.encode()).hexdigest()[:40]}"

    @property
    def data(self) -> dict[str, Any]:
        """``object``, and ``previous_attributes`` where something was updated."""
        return _member(self.payload, "data")

    @property
    def previous(self) -> dict[str, Any]:
        """What changed, as it was before; empty for events that update nothing."""
        return _member(self.data, "previous_attributes")

    @property
    def related(self) -> Related | None:
        """What a thin event is about; None for snapshot events, and where it names nothing."""
        named = _member(self.payload, "related_object")
        fields = (_text(named, "id"), _text(named, "type"), _text(named, "url"))
        return Related(*cast("tuple[str, str, str]", fields)) if all(fields) else None

    @property
    def twin_id(self) -> str | None:
        """For a thin event that repeats a snapshot event: the snapshot event's id."""
        return _text(self.payload, "snapshot_event")

    @property
    def is_placeholder(self) -> bool:
        """Whether the dashboard's test button made it: all such events share one id."""
        return self.id == PLACEHOLDER_ID

    @property
    def key(self) -> tuple[str | None, bool, str]:
        """What is equal for all deliveries of one fact, twins included: for telling duplicates."""
        payload = self.payload
        account = payload.get("account")
        if account is None:
            account = payload.get("context")
        if account is not None and not isinstance(account, str):
            account = None
        fact = payload.get("snapshot_event")
        if fact is None or not isinstance(fact, str):
            fact = self.id
        return (account, payload.get("livemode") is True, fact)

    def _request(self) -> dict[str, Any]:
        # A thin event says {"reason": {"request": {...}}}. API versions before 2017-05-25 give
        # the request's id alone.
        request = self.payload.get("request", _member(self.payload, "reason").get("request"))
        if isinstance(request, str):
            return {"id": request}
        return request if isinstance(request, dict) else {}

    # --- the stripe package -------------------------------------------------------------------

    @property
    def object(self) -> T_co:
        """
        The object as the `stripe` package's own class, built when it is first asked for.

        Raises `ConfigError` for a thin event, which carries none: see `fetch`.
        """
        try:
            built = self._object
        except AttributeError:  # for the first time
            from .objects import build_object

            built = build_object(self)
            object.__setattr__(self, "_object", built)
        return cast("T_co", built)

    @property
    def sdk(self) -> "stripe.Event":
        """The event as the `stripe` package's own class, built anew at each call."""
        from .objects import build_event

        return build_event(self)

    def fetch(self, *, client: "stripe.StripeClient | None" = None) -> T_co:
        """
        Return the object as it is now, by a request to the API.

        *client* defaults to that of the `Hooks`, or to ``stripe.api_key``. Raises what the
        `stripe` package raises; `ConfigError` where the event names no object.
        """
        from .objects import fetch_object

        return cast("T_co", fetch_object(self, client or self._client))

    async def afetch(self, *, client: "stripe.StripeClient | None" = None) -> T_co:
        """Do what `fetch` does, without blocking the event loop."""
        from .objects import afetch_object

        return cast("T_co", await afetch_object(self, client or self._client))

    def with_object(self, fetched: "builtins.object") -> "Event[T_co]":
        """Return the same event with *fetched* as its `object`; its payload stays."""
        event: Event[T_co] = Event.__new__(Event)
        _fill(
            event,
            self.payload,
            self.raw,
            self.id,
            self.type,
            self.is_thin,
            self.secret_label,
            self._client,
        )
        builtins.object.__setattr__(event, "_object", fetched)
        return event

    # --- as a plain value ---------------------------------------------------------------------

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field of the payload by its name."""
        return self.payload.get(name, default)

    def __getitem__(self, name: str) -> Any:
        return self.payload[name]

    def to_dict(self) -> dict[str, Any]:
        """Return the payload: plain dicts, lists and strings, fit for `json.dumps`."""
        return self.payload

    def __repr__(self) -> str:
        return f"<Event {self.id} {self.type}>"

    def __eq__(self, other: builtins.object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return (self.id, self.payload) == (other.id, other.payload)

    def __hash__(self) -> int:
        return hash(self.id)

    def __setattr__(self, name: str, _value: Any) -> None:
        raise AttributeError(f"an event is a fact: its {name} cannot be set")

    def __reduce__(self) -> tuple[Any, ...]:
        # The client holds a key, and the built object can be built again: neither travels.
        state = (self.payload, self.raw, self.id, self.type, self.is_thin, self.secret_label)
        return _revive, state


# The slots' own setters, which `__setattr__` keeps from everybody else.
(_put_payload, _put_raw, _put_id, _put_type, _put_is_thin, _put_secret_label, _put_client) = (
    Event.__dict__[name].__set__
    for name in ("payload", "raw", "id", "type", "is_thin", "secret_label", "_client")
)


def _fill(
    event: Event[Any],
    payload: dict[str, Any],
    raw: bytes,
    id_: str,
    type_: str,
    is_thin: bool,
    secret_label: str | None,
    client: object,
) -> None:
    _put_payload(event, payload)
    _put_raw(event, raw)
    _put_id(event, id_)
    _put_type(event, type_)
    _put_is_thin(event, is_thin)
    _put_secret_label(event, secret_label)
    _put_client(event, client)


def read_stripe_event(
    raw: bytes, payload: dict[str, Any], secret_label: str | None = None, client: object = None
) -> "Event[Any]":
    """Read a snapshot or thin event. Raises `PayloadError` where *payload* has no id and type."""
    id_, type_ = payload.get("id"), payload.get("type")
    if not (isinstance(id_, str) and id_ and isinstance(type_, str) and type_):
        raise PayloadError("the body has no id and type, so it is not an event")
    is_thin = payload.get("object") == "v2.core.event"
    # Without its `__init__`, whose seven names cost as much as all the rest of this.
    event = Event.__new__(Event)
    _fill(event, payload, raw, id_, type_, is_thin, secret_label, client)
    return event


def read_payload(raw: bytes) -> dict[str, Any]:
    """
    Return the JSON object *raw* is.

    Raises `PayloadError` for anything else (text that is no JSON, other types, NaN,
    nesting deeper than Python's own limit); whatever the bytes, nothing else is raised.
    """
    try:
        text = raw.decode()
        try:
            payload, end = _scan(text, 0)
        except StopIteration:  # nothing begins at its first character: white space, say
            end = -1
        if end != len(text):
            payload = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise PayloadError("the body is not JSON") from None
    if not isinstance(payload, dict):
        raise PayloadError("the body is not a JSON object")
    return payload


def as_event(value: object) -> "Event[Any]":
    """Return *value*, or raise `ConfigError` where it is no event: for what users hand back."""
    if isinstance(value, Event):
        return value
    raise ConfigError(f"expected an Event or None and was given a {type(value).__name__}")


def _revive(
    payload: dict[str, Any], raw: bytes, id_: str, type_: str, is_thin: bool, label: str | None
) -> "Event[Any]":
    return Event(payload, raw, id=id_, type=type_, is_thin=is_thin, secret_label=label)


def _member(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _text(parent: dict[str, Any], key: str) -> str | None:
    value = parent.get(key)
    return value if isinstance(value, str) else None


def _seconds(moment: str) -> int:
    """Thin events tell the time as ISO 8601; Unix seconds are what everything else compares."""
    from datetime import UTC, datetime

    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return 0
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())


def _refuse_constant(name: str) -> NoReturn:
    """NaN and Infinity are no JSON, though Python reads them."""
    raise ValueError(name)


# Made once: `json.loads` with an argument makes one for every call.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_scan = _DECODER.scan_once  # type: ignore[attr-defined]  # public by its name, and typeshed knows it not
