"""Answers, of which the short ones are shared by many requests."""

import copy
import pickle

import pytest

from hookloop import Hooks, Reply
from hookloop.testing import make, sign

SECRET = "whsec_x"


def result_of(handler):
    hooks = Hooks(SECRET)
    hooks.on_any(handler)
    request = sign(make("customer.updated"), SECRET)
    return hooks.receive(request.body, request.headers)


@pytest.mark.parametrize("name", ["status", "headers", "body", "outcome"])
def test_a_result_cannot_be_changed(name: str):
    """The next request may get the same one."""
    result = result_of(lambda event: None)

    with pytest.raises(AttributeError, match=name):
        setattr(result, name, None)


def test_a_result_can_be_copied_and_pickled():
    """As any plain value."""
    result = result_of(lambda event: Reply({"approved": True}, headers={"X-A": "1"}))

    for again in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert (again.status, again.outcome) == (200, "handled")
        assert (again.headers, again.body) == (result.headers, result.body)


def test_a_header_that_http_cannot_carry_costs_no_answer():
    """The handler has done its work: the event must not come again for a letter."""
    result = result_of(lambda event: Reply(headers={"X-Name": "Łódź"}))

    assert result.status == 200
    assert dict(result.asgi_headers)[b"x-name"] == b"?\xf3d?"
