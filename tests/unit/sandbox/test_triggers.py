"""Triggers: the requests of each lead to its event, for real."""

from urllib.parse import urlencode

import pytest

from hookloop.errors import ConfigError
from hookloop.sandbox.triggers import TRIGGERS, Step, overridden, resolved
from hookloop.shapes.package import object_class, object_name, snapshot_types

LATER_SECONDS = 3.0


def take(call, steps) -> dict[str, object]:
    answers: dict[str, object] = {}
    for planned in steps:
        step = resolved(planned, answers)
        answer = call(step.method, step.path, urlencode(step.params))
        assert answer.status == (402 if step.fails else 200), answer.body
        answers[step.name] = answer.body
    return answers


@pytest.mark.parametrize("event_type", sorted(TRIGGERS))
def test_what_is_triggered_happens(call, event_type):
    """An event of the type, about an object of its kind, which the API returns as well."""
    take(call, TRIGGERS[event_type])
    call.now += LATER_SECONDS

    happened = [event for event in call.events() if event["type"] == event_type]

    assert happened
    subject = happened[-1]["data"]["object"]
    assert subject["object"] == object_name(object_class(event_type))
    path = {
        "card": f"/v1/customers/{subject.get('customer')}/sources",
        "tax_id": f"/v1/customers/{subject.get('customer')}/tax_ids",
    }.get(subject["object"], f"/v1/{subject['object'].replace('.', '/')}s")
    if subject["object"] != "balance" and not event_type.endswith(".deleted"):
        assert call("GET", f"{path}/{subject['id']}").body["id"] == subject["id"]


def test_only_what_stripe_has_is_triggered():
    """No type is made up."""
    assert TRIGGERS.keys() <= snapshot_types()


def test_an_override_changes_one_step(call):
    """Also inside metadata, by a dot."""
    steps = overridden(
        TRIGGERS["customer.updated"], ["customer:name=Ada", "update:metadata.plan=pro=max"]
    )

    answers = take(call, steps)

    assert answers["update"]["name"] == "Ada"
    assert answers["update"]["metadata"] == {"foo": "bar", "plan": "pro=max"}


@pytest.mark.parametrize("override", ["name=Ada", "customer:name", "invoice:x=1", ""])
def test_an_override_that_fits_nothing_is_refused(override):
    """And the steps there are, are named."""
    with pytest.raises(ConfigError):
        overridden([Step("customer", "/v1/customers")], [override])
