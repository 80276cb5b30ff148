"""
Write the list of Stripe's event types, and the overloads of `Hooks.on`, from the `stripe` package.

    python scripts/generate_event_types.py           # rewrite both files
    python scripts/generate_event_types.py --check   # exit 1 where they are not current

The snapshot types are the literals of `stripe.Event.type`. The class of a type's object is what
its thin twin says it fetches; types without a twin start with the name of their object.
"""

import argparse
import inspect
import re
import subprocess
import sys
import typing
from collections import defaultdict
from pathlib import Path

import stripe
import stripe.events
from stripe._object_classes import OBJECT_CLASSES  # the one list of object names the package has

EVENTS = Path(__file__).parents[1] / "src" / "hookloop" / "events"

# Where the object is not what the type's name says, and no thin twin tells.
SPECIAL = {
    "account.application.": "stripe.Application",
    "account.external_account.": "stripe.BankAccount | stripe.Card",
    "customer.source.": "stripe.BankAccount | stripe.Card | stripe.Source",
    "source.mandate_notification": "Any",  # its class is not in the package
    "source.transaction.": "Any",  # the same
}


def snapshot_types() -> list[str]:
    """Return the literals of `stripe.Event.type`."""
    hints = typing.get_type_hints(stripe.Event, vars(sys.modules["stripe._event"]))
    return sorted(typing.get_args(hints["type"]))


def thin_classes() -> dict[str, str]:
    """Return for each thin type the class that it fetches; ``Any`` where it fetches nothing."""
    found = {}
    for path in Path(inspect.getfile(stripe.events)).parent.glob("_v*_event.py"):
        text = path.read_text()
        name = re.search(r'LOOKUP_TYPE\s*=\s*\(?\s*"([^"]+)"', text)
        fetched = re.search(r'def fetch_related_object\(\s*self,?\s*\)\s*->\s*\(?\s*"(\w+)"', text)
        if name:
            found[name[1]] = imported_class(text, fetched[1]) if fetched else "Any"
    return dict(sorted(found.items()))


def imported_class(text: str, name: str) -> str:
    """Return the public path of the class *name* that *text* imports from a private module."""
    module = re.search(rf"from ([\w.]+) import \(?\s*{name}\b", text)
    assert module, name
    return public_path(module[1], name)


def public_path(module: str, name: str) -> str:
    package = module.rpartition("._")[0]
    return f"{package}.{name}"


def snapshot_classes(thin: dict[str, str]) -> dict[str, str]:
    """Return for each snapshot type the class of its object."""
    return {type_: snapshot_class(type_, thin) for type_ in snapshot_types()}


def snapshot_class(type_: str, thin: dict[str, str]) -> str:
    for start, class_ in SPECIAL.items():
        if type_.startswith(start):
            return class_
    twin = thin.get(f"v1.{type_}", "Any")
    if twin != "Any":
        return twin
    parts = type_.split(".")
    for length in range(len(parts) - 1, 0, -1):
        known = OBJECT_CLASSES.get(".".join(parts[:length]))
        if known:
            return public_path(*known)
    raise SystemExit(f"no class is known for {type_}: add it to SPECIAL")


def types_module(snapshot: dict[str, str], thin: dict[str, str]) -> str:
    return f'''# {GENERATED.format(version=stripe.VERSION)}
# ruff: noqa: E501  # one type a line, however long its name
"""Stripe's event types of API version {stripe.api_version}, with the class of each object."""

from typing import Final

__all__ = ["SNAPSHOT_TYPES", "THIN_TYPES"]

SNAPSHOT_TYPES: Final[dict[str, str]] = {{
{lines(snapshot)}
}}
"""What ``data.object`` is, for each type of snapshot event; ``Any`` where no class is shipped."""

THIN_TYPES: Final[dict[str, str]] = {{
{lines(thin)}
}}
"""What `Event.fetch` returns, for each type of thin event; ``Any`` where it names no object."""
'''


def lines(classes: dict[str, str]) -> str:
    return "\n".join(f'    "{type_}": "{class_}",' for type_, class_ in classes.items())


def overloads_module(classes: dict[str, str]) -> str:
    """One overload for each class: all of its types, so that several of them keep the class."""
    by_class: dict[str, list[str]] = defaultdict(list)
    for type_, class_ in sorted(classes.items()):
        by_class[class_].append(type_)
    known = sorted(class_ for class_ in by_class if class_ != "Any")
    aliases = [(alias(class_), by_class[class_]) for class_ in [*known, "Any"]]
    # Both checkers read `import stripe.a` as binding `stripe`; the package does not import all of
    # its parts by itself.
    modules = sorted({path.rpartition(".")[0] for class_ in known for path in class_.split(" | ")})
    imports = "\n".join(f"import {module}" for module in modules)
    parts = [HEAD.format(generated=GENERATED.format(version=stripe.VERSION), imports=imports)]
    for name, types in aliases:
        literals = "\n".join(f'    "{type_}",' for type_ in types)
        parts.append(f"{name}: TypeAlias = Literal[\n{literals}\n]\n")
    union = "\n    | ".join(name for name, _ in aliases)
    parts.append(f"EventType: TypeAlias = (\n    {union}\n)\n")
    parts.append(MIDDLE)
    parts.extend(overload(alias(class_), class_) for class_ in known)
    parts.append(overload("EventType", "Any"))
    parts.append(TAIL)
    return "\n".join(parts)


def alias(class_: str) -> str:
    """Return ``IssuingCardType`` for ``stripe.issuing.Card``."""
    if class_ == "Any":
        return "OtherType"
    words = [
        word
        for path in class_.split(" | ")
        for word in path.removeprefix("stripe.").replace(".", "_").split("_")
    ]
    return "".join(word[:1].upper() + word[1:] for word in words) + "Type"


def overload(name: str, class_: str) -> str:
    return f"""    @overload
    def __call__(
        self,
        type: {name},
        /,
        *types: {name},
        deadline_seconds: float | None = None,
        default: Reply | None = None,
        order: Literal["object"] | None = None,
        fresh: bool = False,
    ) -> Decorator[{class_}]: ...
"""


GENERATED = "Generated by scripts/generate_event_types.py from stripe {version}: do not edit."

HEAD = '''# {generated}
# mypy: disable-error-code="overload-overlap"
# pyright: reportOverlappingOverload=false
# The last overload takes any str on purpose: it is what a misspelt type falls through to.
"""
What `Hooks.on` gives for each event type: for type checkers alone, never imported at run time.

A handler may say `Event[stripe.Invoice]` for ``invoice.paid``, and nothing else but `Event`.
A type Stripe does not have gives an `UnknownEventType`, which cannot decorate anything:
`Hooks.on_unknown` takes such types.
"""

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, overload

{imports}

from .event import Event
from .outcomes import Reply

__all__ = ["Decorator", "EventType", "On", "UnknownEventType"]

T = TypeVar("T")
R = TypeVar("R")
'''

MIDDLE = '''
class Decorator(Protocol[T]):
    """Takes a handler of events of one class, and returns it."""

    def __call__(
        self, handler: Callable[[Event[T]], R], /
    ) -> Callable[[Event[T]], R]: ...


class UnknownEventType:
    """Stripe has no such event type: correct it, or use `on_unknown`."""


class On(Protocol):
    """Run the function below for events of these exact types."""
'''

TAIL = """    @overload
    def __call__(
        self,
        type: str,
        /,
        *types: str,
        deadline_seconds: float | None = None,
        default: Reply | None = None,
        order: Literal["object"] | None = None,
        fresh: bool = False,
    ) -> UnknownEventType: ...
"""


def formatted(text: str) -> str:
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [ruff, "format", "--stdin-filename", "x.py", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    check = parser.parse_args().check
    thin = thin_classes()
    snapshot = snapshot_classes(thin)
    files = {
        EVENTS / "event_types.py": formatted(types_module(snapshot, thin)),
        EVENTS / "typed_on.py": formatted(overloads_module({**snapshot, **thin})),
    }
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if check:
            print(f"{path.name} is not current: run python scripts/generate_event_types.py")
        else:
            path.write_text(files[path])
            print(f"wrote {path.name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
