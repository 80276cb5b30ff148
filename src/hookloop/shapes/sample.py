"""A sample of any object of Stripe's: every field its class declares, with a plausible value."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from .object_shape import (
    Choice,
    Field,
    Flag,
    Free,
    Kind,
    Nested,
    Number,
    Page,
    Reference,
    Several,
    Shape,
    Text,
    shape_of,
)
from .plausible import (
    FILLED_LISTS,
    HAPPY_FLAGS,
    USUALLY_SET,
    is_amount,
    is_time,
    preferred_word,
    small_number,
    text_of,
    time_offset,
)
from .sample_ids import sample_id

__all__ = ["Json", "SampleRandom", "Sampler", "variants"]

Json = dict[str, Any]

FILLED_DEPTH_MAX = 4  # an invoice's line's price's tiers: below that, lists stay empty


class SampleRandom(Protocol):
    """What we need of `random.Random`."""

    def choices(self, population: Sequence[str], *, k: int) -> list[str]: ...

    def randint(self, a: int, b: int) -> int: ...


class Sampler:
    """
    Makes objects from their shapes, the same ones for the same *random*.

    *at*: the Unix time everything in them goes by. *livemode*: what they say of themselves.
    """

    def __init__(self, random: SampleRandom, *, at: int, livemode: bool) -> None:
        self._random = random
        self._at = at
        self._livemode = livemode
        self._serial = "".join(random.choices("0123456789abcdef", k=12))
        self._known: dict[str, str] = {}
        self.amount = 100 * random.randint(10, 250)
        """The one amount of everything in the sample, so that its sums agree."""

    def object_of(self, class_: type, *, depth: int = 0) -> Json:
        """Return a sample of *class_*."""
        shape = shape_of(class_)
        variant, absent = variants(shape)
        absent = absent - {variant}
        return {
            name: self._field(field, name, shape, depth, is_wanted=name == variant)
            for name, field in shape.fields.items()
            if name not in absent
        }

    # --- values -----------------------------------------------------------------------------

    def _field(self, field: Field, name: str, shape: Shape, depth: int, *, is_wanted: bool) -> Any:
        if field.is_optional and not is_wanted and not _is_usual(name, field.kind, depth):
            return {} if isinstance(field.kind, Free) else None
        return self.value(field.kind, name, shape.name, depth)

    def value(self, kind: Kind, name: str, owner: str, depth: int) -> Any:  # one line a kind
        """Return a value of *kind* for the field *name* of an object called *owner*."""
        match kind:
            case Text():
                return self._text(kind, name, owner)
            case Number():
                return self._number(kind, name)
            case Flag():
                return self._livemode if name == "livemode" else name in HAPPY_FLAGS
            case Choice(words):
                return preferred_word(words)
            case Reference(class_):
                return self._reference(shape_of(class_).name)
            case Nested(class_):
                return self.object_of(class_, depth=depth + 1)
            case Several(item):
                if name == "payment_method_types":
                    return ["card"]
                return self._items(item, name, owner, depth)
            case Page(item):
                data = self._items(item, name, owner, depth)
                url = f"/v1/{owner.replace('.', '/')}s/{self._reference(owner)}/{name}"
                return {"object": "list", "data": data, "has_more": False, "url": url}
            case Free():
                return {}

    def _items(self, item: Kind, name: str, owner: str, depth: int) -> list[Any]:
        if name not in FILLED_LISTS or depth >= FILLED_DEPTH_MAX or not isinstance(item, Nested):
            return []
        return [self.value(item, name, owner, depth)]

    def _text(self, kind: Text, name: str, owner: str) -> str:
        if kind.is_decimal:
            return str(self.amount) if is_amount(name.removesuffix("_decimal")) else "1"
        if name == "id":
            new = sample_id(owner, self._random)
            self._known.setdefault(owner, new)
            return new
        if name == "client_secret":
            return f"{self._reference(owner)}_secret_{self._serial}"
        if is_time(name):  # v2 writes times as texts
            return datetime.fromtimestamp(self._at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        if name in _ID_TEXTS:
            return self._reference(_ID_TEXTS[name])
        return text_of(name, self._serial)

    def _reference(self, name: str) -> str:
        """Return the id of the one *name* of this sample: all of it speaks of one customer."""
        return self._known.setdefault(name, sample_id(name, self._random))

    def _number(self, kind: Number, name: str) -> int | float:
        if is_time(name):
            return self._at + time_offset(name)
        number = self.amount if is_amount(name) else small_number(name)
        return float(number) if kind.is_float else number


_ID_TEXTS = {
    name: name
    for name in (
        "account",
        "charge",
        "coupon",
        "customer",
        "invoice",
        "payment_intent",
        "payment_method",
        "payment_record",
        "person",
        "price",
        "product",
        "quote",
        "subscription",
        "subscription_item",
        "tax_rate",
    )
} | {
    "financial_account": "treasury.financial_account",
    "invoice_item": "invoiceitem",
    "received_debit": "treasury.received_debit",
}
"""Fields that are plain text to the package and hold an id."""


def _is_usual(name: str, kind: Kind, depth: int) -> bool:
    # Ids cost nothing; whole objects inside objects inside objects are noise.
    is_small = depth <= 1 or not isinstance(kind, Nested | Page)
    return name in USUALLY_SET and is_small and not isinstance(kind, Several | Page)


def variants(shape: Shape) -> tuple[str | None, set[str]]:
    """Return the field that the likeliest ``type`` goes with, and all that go with a type."""
    absent = {"deleted"} if shape.is_resource else set()  # only what DELETE answers has it
    field = shape.fields.get("type")
    if field is None:
        return None, absent
    nested = {
        name
        for name, other in shape.fields.items()
        if other.is_optional and isinstance(other.kind, Nested)
    }
    if isinstance(field.kind, Choice):
        possible = nested & set(field.kind.words)
        chosen = preferred_word(field.kind.words)
    else:
        possible = nested if "card" in nested else set()
        chosen = "card"
    return (chosen if chosen in possible else None), absent | possible
