"""A sandbox's API without a socket: calls go in as values and come out as values."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from shape_check import misfits

from hookloop.sandbox.api import Api, ApiAnswer, ApiRequest
from hookloop.sandbox.catalogue import Catalogue
from hookloop.sandbox.delivery import Delivery
from hookloop.sandbox.memory import MemoryAccounts
from hookloop.sandbox.store import PageRequest, Store
from hookloop.sandbox.transaction import EVENT_KIND
from hookloop.shapes.endpoint import endpoints

CATALOGUE = Catalogue(
    api_version="2026-10-28.endive",
    api_versions=frozenset({"2026-10-28.endive", "2020-08-27"}),
    event_types=frozenset({"customer.created", "customer.updated", "customer.deleted"}),
    endpoints=endpoints(),
)


def answer_events(answer: ApiAnswer, now: float) -> list[dict[str, Any]]:
    """Return the last few events of the account that was answered."""
    if answer.store is None:
        return []
    page = answer.store.page(EVENT_KIND, PageRequest(limit=10))
    return [event for event in page.objects if event["created"] == int(now)] if page else []


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: Any
    owed: Sequence[Delivery]
    store: Store | None

    @property
    def error(self) -> dict[str, str]:
        return self.body["error"]


class Caller:
    """Calls the API at a time of the test's choosing, and holds every answer to its shape."""

    def __init__(self, *, stub: bool = False) -> None:
        self.accounts = MemoryAccounts()
        self.api = Api(self.accounts, CATALOGUE, Random(7), stub=stub)
        self.now = 1_800_000_000.0

    def __call__(
        self,
        method: str,
        path: str,
        form: str = "",
        *,
        key: str = "sk_test_one",
        headers: dict[str, str] | None = None,
    ) -> Answered:
        in_body = method == "POST"
        request = ApiRequest(
            method,
            path,
            b"" if in_body else form.encode(),
            {"authorization": f"Bearer {key}", **(headers or {})},
            form.encode() if in_body else b"",
        )
        answer = self.api.answer(request, now=self.now)
        body = json.loads(answer.body)
        told = [event["data"]["object"] for event in answer_events(answer, self.now)]
        assert [*misfits(body), *(wrong for one in told for wrong in misfits(one))] == []
        return Answered(answer.status, dict(answer.headers), body, answer.owed, answer.store)

    def events(self) -> list[dict[str, Any]]:
        """All events so far, oldest first."""
        return list(reversed(self("GET", "/v1/events", "limit=100").body["data"]))
