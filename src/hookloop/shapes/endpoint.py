"""
Every endpoint of Stripe's API: method, path, and what it takes and answers.

They are read from the text of the package's services, which a generator wrote and
which all look alike: that takes a twentieth of a second, and importing them a whole one.
A test calls every method of the package and so holds this reading to be complete.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from .package import named_in, stripe_package

__all__ = ["Answer", "Endpoint", "answer_of", "endpoint_at", "endpoints", "params_of"]

_METHOD = re.compile(
    r"^    def (\w+)\(.*?(?=^    def |^    async def |\Z)", re.MULTILINE | re.DOTALL
)
_CALL = re.compile(
    r"self\._request(?P<stream>_stream)?\(\s*"
    r"\"(?P<method>\w+)\",\s*\"(?P<path>/[^\"]*)\".*?base_address=\"(?P<base>\w+)\"",
    re.DOTALL,
)
_RETURNS = re.compile(r"\)\s*->\s*\"?(.*?)\"?:\n", re.DOTALL)
_PARAMS = re.compile(r"\b(\w+Params)\b")
_PARTS = re.compile(r"(?:(ListObject|SearchResultObject)\[)?(?:Union\[)?([\w, ]+)")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint, by the names the package has for what belongs to it."""

    method: str
    path: str
    """With names in braces: ``/v1/customers/{customer}``."""
    base: str
    """The host it is on: ``api``, ``files`` or ``meter_events``."""
    module: str
    """The service's, such as ``stripe._customer_service``."""
    function: str
    """The service's method, such as ``retrieve``."""
    params: str | None
    """The class of its parameters; None where it takes none."""
    returns: str
    """The annotation of what it answers: ``ListObject[Customer]``."""
    is_stream: bool = False
    """Whether the answer is a file and no JSON."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answers."""

    class_: type | None
    """Of the object, or of each in the page; None where there is no object."""
    container: str = ""
    """``ListObject`` or ``SearchResultObject`` for a page, otherwise empty."""


@cache
def endpoints() -> tuple[Endpoint, ...]:
    """Return all endpoints the installed package calls, 648 of them in stripe 16.1."""
    found: dict[tuple[str, str], Endpoint] = {}
    for module, text in _services(files(stripe_package()), "stripe"):
        for endpoint in _in_service(module, text):
            found.setdefault((endpoint.method, endpoint.path), endpoint)
    return tuple(found.values())


@cache
def endpoint_at(method: str, path: str) -> Endpoint | None:
    """Return the endpoint of *method* at *path*, whatever the path's names in braces are."""
    return _by_place().get((method, _anonymous(path)))


def answer_of(endpoint: Endpoint) -> Answer:
    """Return the class of what *endpoint* answers."""
    parts = _PARTS.match(endpoint.returns)
    if parts is None or endpoint.returns in ("Any", "None"):
        return Answer(None)
    names = [name.strip() for name in parts[2].split(",")]
    # Of an account's means to be paid a card is what most have.
    name = "Card" if "Card" in names else names[0]
    return Answer(_named(endpoint, name), parts[1] or "")


def params_of(endpoint: Endpoint) -> type | None:
    """Return the class that declares the parameters of *endpoint*."""
    return None if endpoint.params is None else _named(endpoint, endpoint.params)


def _named(endpoint: Endpoint, name: str) -> Any:
    import_module(endpoint.module)
    return named_in(endpoint.module, name)


@cache
def _by_place() -> dict[tuple[str, str], Endpoint]:
    return {(one.method, _anonymous(one.path)): one for one in endpoints()}


def _anonymous(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


def _services(folder: Traversable, package: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each module of services in *folder* and below."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _services(entry, f"{package}.{entry.name}")
        elif entry.name.endswith("_service.py"):
            name = entry.name.removesuffix(".py")
            yield f"{package}.{name}", entry.read_text(encoding="utf-8")


def _in_service(module: str, text: str) -> list[Endpoint]:
    found = []
    for function in _METHOD.finditer(text):
        call, returns = _CALL.search(function[0]), _RETURNS.search(function[0])
        if call is None or returns is None:
            continue
        params = _PARAMS.search(function[0])
        found.append(
            Endpoint(
                call["method"].upper(),
                call["path"],
                call["base"],
                module,
                function[1],
                params and params[1],
                " ".join(returns[1].split()),
                is_stream=call["stream"] is not None,
            )
        )
    return found
