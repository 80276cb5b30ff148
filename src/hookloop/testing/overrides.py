"""What a test wants an object to hold, put into a sample of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from hookloop.errors import ConfigError
from hookloop.shapes.object_shape import Free, Kind, Nested, Page, Reference, Several, shape_of
from hookloop.shapes.package import closest
from hookloop.shapes.sample import Json, Sampler

__all__ = ["override", "unfold"]


def unfold(wishes: Mapping[str, Any]) -> Json:
    """
    Return *wishes* as nested dicts: ``a.b`` and ``a__b`` both lead to ``b`` inside ``a``.

    Only the outermost keys are paths, so that a key of metadata may hold a dot.
    """
    nested: Json = {}
    for path, wish in wishes.items():
        *way, last = path.replace("__", ".").split(".")
        here = nested
        for name in way:
            inner = here.get(name)
            here[name] = dict(inner) if isinstance(inner, Mapping) else {}
            here = here[name]
        here[last] = _joined(here.get(last), wish)
    return nested


def override(
    current: Json, class_: type, wishes: Mapping[str, Any], sampler: Sampler, path: str = ""
) -> None:
    """
    Put *wishes* into *current*, an object of *class_*.

    A mapping for an object changes the fields it names and leaves the others; for a list,
    its keys are places, and the place after the last adds one. Raises `ConfigError` for a
    field the class does not have, with the closest one it has.
    """
    shape = shape_of(class_)
    for name, wish in wishes.items():
        field = shape.fields.get(name)
        if field is None:
            raise ConfigError(
                f"{shape.name} has no field {path + name!r}{closest(name, shape.fields)}"
            )
        spot = _Spot(sampler, shape.name, name, path + name)
        current[name] = spot.filled(field.kind, current.get(name), wish)


def _joined(one: Any, other: Any) -> Any:
    both = isinstance(one, Mapping) and isinstance(other, Mapping)
    return {**one, **other} if both else other


class _Spot:
    """The field a wish is for, and where it stands, for messages."""

    def __init__(self, sampler: Sampler, owner: str, name: str, path: str) -> None:
        self._sampler = sampler
        self._owner = owner
        self._name = name
        self._path = path

    def filled(self, kind: Kind, current: Any, wish: Any) -> Any:
        """Return what stands there once *wish* has been put into *current*."""
        match kind:
            case _ if wish is None:
                return None
            case Several(item):
                return self._items(item, current or [], wish)
            case Page(item):
                page = current or self._sampler.value(kind, self._name, self._owner, 1)
                return self._page(item, page, wish)
            case Nested(class_) | Reference(class_) if isinstance(wish, Mapping):
                inner = current if isinstance(current, dict) else self._sampler.object_of(class_)
                override(inner, class_, wish, self._sampler, self._path + ".")
                return inner
            case Free() if isinstance(wish, Mapping):
                return {**(current or {}), **wish}
            case Nested() | Free():
                raise self._misfit("an object", wish)
            case _ if isinstance(wish, (Mapping, list)):
                raise self._misfit("a plain value", wish)
        return wish

    def _page(self, item: Kind, page: Json, wish: Any) -> Json:
        if not isinstance(wish, Mapping):
            wish = {"data": wish}
        unknown = next((name for name in wish if name not in page), None)
        if unknown is not None:
            raise ConfigError(
                f"{self._path!r} is a list object and has no {unknown!r}"
                f"{closest(unknown, page)}; its items are in 'data'"
            )
        data = wish.get("data")
        items = page["data"] if data is None else self._items(item, page["data"], data)
        return {**page, **wish, "data": items}

    def _items(self, item: Kind, current: list[Any], wish: Any) -> list[Any]:
        if isinstance(wish, Mapping):
            return self._replaced(item, current, wish)
        if isinstance(wish, str) or not isinstance(wish, Sequence):
            raise self._misfit("a list", wish)
        return [self.filled(item, None, one) for one in wish]

    def _replaced(self, item: Kind, current: list[Any], wish: Mapping[str, Any]) -> list[Any]:
        items = list(current)
        for place, one in wish.items():
            if not (str(place).isdecimal() and int(place) <= len(items)):
                raise ConfigError(
                    f"{self._path!r} is a list of {len(items)}, and {place!r} is no place in it: "
                    f"give a number up to {len(items)}, which adds one"
                )
            old = items.pop(int(place)) if int(place) < len(items) else None
            items.insert(int(place), self.filled(item, old, one))
        return items

    def _misfit(self, expected: str, wish: Any) -> ConfigError:
        return ConfigError(
            f"{self._path!r} of {self._owner} is {expected}, and its override is a "
            f"{type(wish).__name__}"
        )
