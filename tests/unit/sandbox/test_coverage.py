"""The ledger of fidelity, and the page that is made from it."""

from pathlib import Path

from hookloop.sandbox.coverage import Fidelity, as_page, beyond_the_package, coverage
from hookloop.sandbox.objects import OPERATIONS
from hookloop.shapes.endpoint import endpoints, params_of
from hookloop.shapes.parameter import parameters_of

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "sandbox-coverage.md"


def test_every_endpoint_is_in_the_ledger_once():
    """None is forgotten, so none can answer what the ledger does not say."""
    ledger = coverage()

    places = [(entry.endpoint.method, entry.endpoint.path) for entry in ledger]
    assert len(places) == len(set(places)) == len(endpoints())


def test_every_simulated_operation_of_stripes_is_told_as_stateful():
    """The ledger is read off the routes, not written beside them."""
    stateful = [entry for entry in coverage() if entry.fidelity is Fidelity.STATEFUL]

    assert len(stateful) + len(beyond_the_package()) == len(OPERATIONS)


def test_every_parameter_of_a_stateful_endpoint_is_taken_or_refused_by_name():
    """None that Stripe has is called unknown."""
    by_place = {(one.method, one.path): one for one in OPERATIONS}
    for entry in coverage():
        operation = by_place.get((entry.endpoint.method, entry.endpoint.path))
        class_ = params_of(entry.endpoint)
        if operation is not None and class_ is not None:
            assert parameters_of(class_).keys() <= operation.fields.keys()


def test_the_page_is_current():
    """`hookloop sandbox coverage --markdown > docs/reference/sandbox-coverage.md` makes it so."""
    assert PAGE.read_text() == as_page(coverage())
