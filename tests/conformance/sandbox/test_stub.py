"""`--stub`: every method of the installed `stripe` package is answered, by its class."""

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from made_params import made_params

from hookloop.sandbox import SandboxConfig, running_sandbox
from hookloop.shapes.endpoint import answer_of, endpoints, params_of

pytestmark = pytest.mark.anyio

STUB = SandboxConfig(port=0, stub=True)
BY_FUNCTION = {(one.module, one.function): one for one in endpoints()}


def stub_client(url: str) -> stripe.StripeClient:
    hosts: Any = dict.fromkeys(("api", "files", "connect", "meter_events"), url)
    return stripe.StripeClient("sk_test_one", base_addresses=hosts)


def methods(service: Any) -> Iterator[Any]:
    """Every method of *service* and of those below it that makes a request."""
    for name in sorted(vars(type(service))):
        if (type(service).__module__, name) in BY_FUNCTION:
            yield getattr(service, name)
    below = inspect.get_annotations(type(service))
    for name in sorted(below):
        yield from methods(getattr(service, name))


def called(method: Any) -> Any:
    """Call *method* with made-up ids and every parameter it has."""
    endpoint = BY_FUNCTION[method.__self__.__class__.__module__, method.__name__]
    ids = [
        name for name in inspect.signature(method).parameters if name not in ("params", "options")
    ]
    return method(*(f"{name}_made_up" for name in ids), made_params(params_of(endpoint)))


def fits(answer: Any, method: Any) -> bool:
    endpoint = BY_FUNCTION[method.__self__.__class__.__module__, method.__name__]
    expected = answer_of(endpoint)
    if expected.class_ is None:
        return True
    if expected.container:
        return type(answer).__name__ == expected.container and isinstance(
            answer.data[0], expected.class_
        )
    return isinstance(answer, expected.class_)


async def test_every_method_of_the_package_is_answered_by_its_class():
    """All of them, with every parameter they have, through the real client and a socket."""

    def call_all(url: str) -> tuple[list[str], set[tuple[str, str]]]:
        client = stub_client(url)
        wrong, seen = [], set()
        for method in (*methods(client.v1), *methods(client.v2)):
            place = (method.__self__.__class__.__module__, method.__name__)
            seen.add(place)
            try:
                if not fits(called(method), method):
                    wrong.append(f"{place}: another class")
            except stripe.StripeError as error:
                wrong.append(f"{place}: {error.user_message}")
        return wrong, seen

    async with running_sandbox(STUB) as sandbox:
        wrong, seen = await asyncio.to_thread(call_all, sandbox.url)

    assert wrong == []
    assert seen == set(BY_FUNCTION)


async def test_a_stub_keeps_what_has_state():
    """Customers are real; what the sandbox does not simulate is made up, and says so."""

    def live(client: stripe.StripeClient) -> None:
        made = client.v1.customers.create({"name": "Ada"})
        kept = client.v1.customers.retrieve(made.id)
        assert (kept.name, fidelity(kept)) == ("Ada", "stateful")
        unknown = client.v1.customers.retrieve("cus_123")
        assert (unknown.id, fidelity(unknown)) == ("cus_123", "shape")
        report = client.v1.reporting.report_runs.retrieve("frr_1")
        assert (report.id, fidelity(report)) == ("frr_1", "shape")

    async with running_sandbox(STUB) as sandbox:
        await asyncio.to_thread(live, stub_client(sandbox.url))


async def test_a_stub_knows_what_an_endpoint_takes():
    """Names, types, and what must be there: as the package declares them."""

    def fail(client: stripe.StripeClient) -> None:
        create: Any = client.v1.topups.create
        for params, param, code in (
            ({"amount": 5, "currency": "usd", "nmae": 1}, "nmae", "parameter_unknown"),
            ({"currency": "usd"}, "amount", "parameter_missing"),
            ({"amount": "much", "currency": "usd"}, "amount", "parameter_invalid_integer"),
        ):
            with pytest.raises(stripe.InvalidRequestError) as caught:
                create(params)
            assert (caught.value.param, caught.value.code) == (param, code)

    async with running_sandbox(STUB) as sandbox:
        await asyncio.to_thread(fail, stub_client(sandbox.url))


def fidelity(answer: Any) -> str:
    return str(answer.last_response.headers["Hookloop-Fidelity"])
