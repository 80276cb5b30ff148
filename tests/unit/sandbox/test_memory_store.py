"""The store in memory: bounded, and quick however much it holds."""

from hookloop.sandbox.authentication import authenticate
from hookloop.sandbox.idempotency import SavedAnswer
from hookloop.sandbox.memory import MemoryStore
from hookloop.sandbox.store import Changes, PageRequest


def answer(key: str, saved: float) -> Changes:
    return Changes(answer=SavedAnswer(key, "/", b"", "req_1", 200, b"{}", saved))


def test_saved_answers_are_bounded(monkeypatch):
    """The oldest go first."""
    monkeypatch.setattr("hookloop.sandbox.memory.ANSWERS_MAX", 2)
    store = MemoryStore(authenticate("Bearer sk_test_one"))

    for number, key in enumerate("abc"):
        store.commit(answer(key, float(number)), now=float(number))

    assert [store.saved_answer(key) is not None for key in "abc"] == [False, True, True]


def test_a_new_version_keeps_its_place():
    """Lists are in the order objects were made, not changed."""
    store = MemoryStore(authenticate("Bearer sk_test_one"))
    for name in ("a", "b"):
        store.commit(Changes(objects=[("thing", {"id": name, "version": 1})]), now=0.0)

    store.commit(Changes(objects=[("thing", {"id": "a", "version": 2})]), now=0.0)

    page = store.page("thing", PageRequest(10))
    assert page is not None
    assert [(item["id"], item["version"]) for item in page.objects] == [("b", 1), ("a", 2)]


def test_a_removed_object_is_no_cursor():
    """It is as if it had never been."""
    store = MemoryStore(authenticate("Bearer sk_test_one"))
    store.commit(Changes(objects=[("thing", {"id": "a"})]), now=0.0)

    store.commit(Changes(removed=[("thing", "a")]), now=0.0)

    assert store.page("thing", PageRequest(10, starting_after="a")) is None
    assert (store.count("thing"), store.everything("thing")) == (0, [])
