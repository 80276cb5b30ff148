"""Requests made of what the package declares, and of nonsense: each gets an answer."""

from random import Random
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_caller import Caller

from hookloop.sandbox.arguments import Unsimulated
from hookloop.sandbox.objects import OPERATIONS
from hookloop.sandbox.operation import Operation
from hookloop.shapes.endpoint import endpoint_at, params_of
from hookloop.shapes.object_shape import Choice, Flag, Nested, Number, Several, Text
from hookloop.shapes.parameter import Either, parameters_of
from hookloop.shapes.sample_ids import name_by_id

REQUESTS = 40
WORDS = (
    "usd",
    "eur",
    "pm_card_visa",
    "pm_card_chargeDeclined",
    "pm_card_authenticationRequired",
    "tok_visa",
    "winning_evidence",
    "",
    "x",
    "-1",
    "0",
    "99999999999",
    "true",
)


class Client:
    """Knows what it has been told, and asks for more of it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.call = Caller()
        self.ids: list[str] = ["made_up"]

    def ask(self) -> None:
        operation = self.random.choice(OPERATIONS)
        path = operation.path
        while "{" in path:
            name = path[path.index("{") : path.index("}") + 1]
            path = path.replace(name, self.some_id(path[: path.index("{")]), 1)
        self.call.now += self.random.choice((0, 1, 2, 3600, 86_400))
        answer = self.call(operation.method, path, urlencode(self.params(operation)))
        assert answer.status in (200, 400, 402, 404, 501), (operation, answer.body)
        self.remember(answer.body)

    def some_id(self, collection: str) -> str:
        """Return an id that may well be in *collection*, such as ``/v1/customers/``."""
        kind = collection.rstrip("/").rpartition("/")[2].removesuffix("s")
        fitting = [one for one in self.ids if (name_by_id(one) or "").endswith(kind)]
        return self.random.choice(fitting if fitting and self.random.random() < 0.9 else self.ids)

    def remember(self, value: Any) -> None:
        """Keep every id in *value*, for requests to come."""
        if isinstance(value, dict):
            for name, item in value.items():
                if name == "id" and isinstance(item, str):
                    self.ids.append(item)
                self.remember(item)
        elif isinstance(value, list):
            for item in value:
                self.remember(item)

    def params(self, operation: Operation) -> dict[str, str]:
        endpoint = endpoint_at(operation.method, operation.path)
        class_ = params_of(endpoint) if endpoint else None
        flat: dict[str, str] = {}
        if class_ is not None:
            for name, parameter in parameters_of(class_).items():
                wanted = parameter.is_required or self.random.random() < 0.15
                refused = isinstance(operation.fields[name], Unsimulated)
                if name != "expand" and wanted and (not refused or self.random.random() < 0.02):
                    self._fill(flat, name, parameter.kind, depth=0)
        return flat

    def _fill(self, flat: dict[str, str], name: str, kind: Any, *, depth: int) -> None:
        random = self.random
        if random.random() < 0.05:
            flat[name] = random.choice(WORDS)
            return
        match kind:
            case Text():
                flat[name] = self._text(name)
            case Number():
                flat[name] = str(random.choice((1, 50, 500, 2000, 1_800_003_600)))
            case Flag():
                flat[name] = random.choice(("true", "false"))
            case Choice(words):
                flat[name] = random.choice(words)
            case Several(item):
                self._fill(flat, f"{name}[0]", item, depth=depth + 1)
            case Nested(class_) if depth < 4:
                for inner, parameter in parameters_of(class_).items():
                    if parameter.is_required or random.random() < 0.2:
                        self._fill(flat, f"{name}[{inner}]", parameter.kind, depth=depth + 1)
            case Either(kinds):
                self._fill(flat, name, random.choice(kinds), depth=depth)
            case _:
                flat[f"{name}[key]"] = "value"

    def _text(self, name: str) -> str:
        """Return a text that may well be one for *name*."""
        if self.random.random() < 0.8:
            if name.endswith("currency]") or name == "currency":
                return "usd"
            fitting = [one for one in self.ids if name_by_id(one) == name.rpartition("[")[2][:-1]]
            fitting += [one for one in self.ids if name_by_id(one) == name]
            if fitting:
                return self.random.choice(fitting)
        return self.random.choice((*WORDS, *self.ids[-20:]))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_any_requests_in_any_order_are_answered_as_the_package_says(seed):
    """Never a bug of ours, and every answer and event is of its class."""
    client = Client(seed)
    for _ in range(REQUESTS):
        client.ask()
