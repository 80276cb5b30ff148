"""The worker with a transport that is no network."""

import asyncio
from random import Random

from hookloop.clock import SystemClock
from hookloop.sandbox.authentication import authenticate
from hookloop.sandbox.client import Reply
from hookloop.sandbox.delivery import Delivery
from hookloop.sandbox.memory import MemoryStore
from hookloop.sandbox.observer import nobody
from hookloop.sandbox.store import Changes
from hookloop.sandbox.worker import DeliveryRules, DeliveryWorker
from hookloop.schedule import STRIPE_TEST

RULES = DeliveryRules(schedule=STRIPE_TEST)


class Accepting:
    """A transport whose endpoints take everything."""

    def __init__(self) -> None:
        self.posted: list[str] = []

    async def post(self, url, headers, payload) -> Reply:
        self.posted.append(url)
        return Reply(200)


def store_with_a_delivery() -> tuple[MemoryStore, Delivery]:
    store = MemoryStore(authenticate("Bearer sk_test_one"))
    delivery = Delivery("evt_1", "we_1")
    endpoint = {"id": "we_1", "url": "http://a/", "secret": "whsec_a", "api_version": None}
    event = {"id": "evt_1", "type": "customer.created", "created": SystemClock().wall()}
    store.commit(
        Changes([("webhook_endpoint", endpoint)], events=[event], deliveries=[delivery]), now=0.0
    )
    return store, delivery


def test_what_is_owed_before_it_runs_is_not_lost(catalogue):
    """The attempts begin with `run`, and a settled delivery owed again is not sent again."""
    transport = Accepting()
    store, delivery = store_with_a_delivery()

    async def main() -> None:
        worker = DeliveryWorker(transport, SystemClock(), RULES, catalogue, nobody, Random(1))
        worker.owe(store, [delivery])
        assert worker.statistics().waiting == 1
        running = asyncio.create_task(worker.run())
        await worker.wait_idle()
        worker.owe(store, [delivery])
        await worker.wait_idle()
        running.cancel()
        await asyncio.wait([running])
        assert worker.statistics().delivered == 1

    asyncio.run(main())

    assert transport.posted == ["http://a/"]
