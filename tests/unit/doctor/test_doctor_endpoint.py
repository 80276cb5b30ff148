"""Handlers in the code against the endpoint at Stripe."""

from dataclasses import replace

import pytest

from hookloop import Hooks
from hookloop.doctor import Endpoint, check_endpoint, check_handlers, listening

KNOWN = ["charge.failed", "customer.created", "customer.subscription.updated", "customer.updated"]
VERSION = "2026-10-28.endive"
ENDPOINT = Endpoint(
    id="we_1",
    url="https://shop.example/webhooks/stripe",
    enabled_events=("charge.failed", "customer.updated"),
    api_version=VERSION,
)


def handled(*types: str, prefix: str | None = None, everything: bool = False) -> Hooks:
    hooks = Hooks(secrets="whsec_x")
    if types:
        hooks.on(*types)(print)
    if prefix:
        hooks.on_prefix(prefix)(print)
    if everything:
        hooks.on_any(print)
    return hooks


def codes(hooks: Hooks, endpoint: Endpoint = ENDPOINT, **options: str) -> list[str]:
    options = {"sdk_version": VERSION, **options}
    heard = listening(hooks, KNOWN)
    return [one.code for one in check_endpoint(endpoint, heard, hooks=hooks, **options)]


def test_handlers_that_fit_the_endpoint_are_healthy():
    """The same types on both sides."""
    assert codes(handled("charge.failed", "customer.updated")) == []


def test_a_prefix_fits_where_the_endpoint_sends_some_of_it():
    """Nobody needs to enable a whole family."""
    assert codes(handled("charge.failed", prefix="customer.")) == []


def test_a_handler_for_all_fits_every_endpoint():
    """It names no type that could be missing."""
    assert codes(handled(everything=True)) == []


@pytest.mark.parametrize("prefix", ["customer.", "customer.s", "c"])
def test_a_prefix_is_found_by_asking(prefix: str):
    """Only is_listening is asked, with endings no type has."""
    heard = listening(handled("charge.failed", prefix=prefix), KNOWN)

    assert heard.prefixes == {prefix}
    assert heard.exact == ({"charge.failed"} if prefix != "c" else set())


def test_no_handlers_at_all_are_named():
    """The module with the decorators was never imported."""
    assert codes(handled()) == ["no_handlers"]
    assert [one.code for one in check_handlers(listening(handled(), KNOWN))] == ["no_handlers"]


def test_types_that_nobody_handles_are_named():
    """The endpoint sends them for nothing."""
    hooks = handled("charge.failed")

    (finding,) = check_endpoint(ENDPOINT, listening(hooks, KNOWN), hooks=hooks, sdk_version=VERSION)

    assert finding.code == "unhandled_types"
    assert "customer.updated" in finding.what


def test_handlers_for_types_that_never_come_are_named():
    """By type, and by prefix where none of the family is enabled."""
    one = replace(ENDPOINT, enabled_events=("charge.failed",))

    assert codes(handled("charge.failed", "customer.created"), one) == ["unsent_types"]
    assert codes(handled("charge.failed", prefix="customer."), one) == ["unsent_types"]


def test_an_endpoint_that_sends_everything_is_told_as_advice():
    """It works, and costs."""
    assert codes(handled("charge.failed"), replace(ENDPOINT, enabled_events=("*",))) == [
        "sends_everything"
    ]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2024-09-30.acacia", ["version_differs"]),
        ("2020-08-27", ["version_differs"]),
        ("2026-12-01.endive", []),
        (None, ["version_unpinned"]),
    ],
)
def test_another_release_of_the_api_is_named(version: str | None, expected: list[str]):
    """Months of one release are compatible; another release is not."""
    endpoint = replace(ENDPOINT, api_version=version)

    assert codes(handled(everything=True), endpoint) == expected


def test_without_the_stripe_package_no_version_is_compared():
    """Handlers that read dicts need none."""
    endpoint = replace(ENDPOINT, api_version="2020-08-27")

    assert codes(handled(everything=True), endpoint, sdk_version=None) == []


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        ("/webhooks/stripe", []),
        ("webhooks/stripe", []),
        ("/webhooks/stripe/", ["slash_differs"]),
        ("/stripe", ["wrong_path"]),
    ],
)
def test_the_path_the_app_answers_at_is_compared(served: str, expected: list[str]):
    """Up to the slash at its end."""
    assert codes(handled(everything=True), served_path=served) == expected


def test_a_disabled_endpoint_is_named():
    """Stripe sends nothing, whatever the handlers are."""
    assert codes(handled(everything=True), replace(ENDPOINT, is_enabled=False)) == [
        "endpoint_disabled"
    ]


def test_many_types_are_counted():
    """A sentence stays one."""
    enabled = tuple(f"customer.made_up_{number:02}" for number in range(30))
    hooks = handled("charge.failed")

    found = check_endpoint(
        replace(ENDPOINT, enabled_events=enabled),
        listening(hooks, KNOWN),
        hooks=hooks,
        sdk_version=VERSION,
    )

    assert "and 22 more" in found[0].what
