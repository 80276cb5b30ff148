"""One request's reads and writes."""

from random import Random

import pytest

from hookloop.sandbox.authentication import authenticate
from hookloop.sandbox.memory import MemoryStore
from hookloop.sandbox.store import Changes
from hookloop.sandbox.transaction import Transaction


@pytest.fixture
def transaction(catalogue) -> Transaction:
    return Transaction(
        account=authenticate("Bearer sk_test_one"),
        store=MemoryStore(authenticate("Bearer sk_test_one")),
        catalogue=catalogue,
        now=1000.9,
        random=Random(7),
        request_id="req_1",
        idempotency_key=None,
    )


def test_it_reads_what_it_wrote(transaction):
    """The last version put, though the store has none of it yet."""
    transaction.put("thing", {"id": "a", "version": 1})
    transaction.put("thing", {"id": "a", "version": 2})

    assert transaction.find("thing", "a") == {"id": "a", "version": 2}
    assert transaction.find("other", "a") is None
    assert transaction.store.find("thing", "a") is None


def test_what_it_removed_is_gone(transaction):
    """Though the store still has it."""
    transaction.store.commit(Changes(objects=[("thing", {"id": "a"})]), now=0.0)

    transaction.remove("thing", "a")

    assert transaction.find("thing", "a") is None


def test_ids_have_stripes_forms(transaction):
    """Fourteen letters, or twenty-four that carry the account's."""
    assert len(transaction.new_id("cus")) == len("cus_") + 14
    record = transaction.new_record_id("evt")
    assert len(record) == len("evt_") + 24
    assert transaction.account.tail in record
    assert transaction.account.account_id.endswith(transaction.account.tail)


def test_time_is_told_in_whole_seconds(transaction):
    """As Stripe's ``created`` is, never ahead of the clock."""
    assert transaction.created == 1000
