"""
How fast is the handler library, beside what it replaces?

    python benchmarks/bench_events.py [--requests 400] [--rounds 3] [--imports 30] [--strict]
    python benchmarks/bench_events.py --parts    # what each part of an accepted request costs

    accept    a signed invoice.paid is verified, parsed and given to one handler that does
              nothing: `hooks.asgi` against a FastAPI route with `stripe.Webhook.construct_event`,
              both called as ASGI applications in this process, with no server and no socket.
              Once with an async handler, once with a sync one (a thread for us, a call for them).
    reject    the same body under a signature of another secret: our judgement, and then the
              whole ASGI answer, against one `hmac.digest` of the body.
    import    `import hookloop` in a fresh interpreter, against one that imports nothing; both
              find their bytecode compiled, as pip leaves it.

Two bodies: an invoice of one line (about 3 KB) and of many (about 24 KB), each request with an
event id of its own, so that nothing is a duplicate. Each round measures everything once, one
after the other, so that a neighbour who wakes up disturbs all rows alike. The verdict is that of
the minima of all rounds: a longer request meets more neighbours, so on a busy machine the medians,
which stand beside them, flatter us. An accepted request leaves nothing for the loop's next turn,
in either application, so that what is timed is all there is. With --strict it exits 1 where a
target is missed.
"""

import argparse
import asyncio
import hmac
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

import stripe
from fastapi import FastAPI, HTTPException, Request

from hookloop import Hooks
from hookloop.events.async_runner import AsyncRunner
from hookloop.events.attempts import HANDLED
from hookloop.events.incoming import Incoming
from hookloop.events.keyring import Keyring
from hookloop.events.providers.stripe import Stripe
from hookloop.events.receive import BODY_BYTES_MAX, Rejected, judge
from hookloop.events.recent import RECENT_MAX
from hookloop.events.running import SyncRunner
from hookloop.signing import TOLERANCE_SECONDS, stripe_signature_header

SECRET = "whsec_bench"
OTHER_SECRET = "whsec_another"
PATH = "/webhooks/stripe"
LINES = {"3 KB": 1, "24 KB": 18}  # invoice lines
IDS = count(1)

Exchange = tuple[dict, bytes]  # an ASGI scope, and its body
App = Callable[..., Awaitable[None]]

# --- what is sent -----------------------------------------------------------------------


def invoice_line(number: int) -> dict:
    return {
        "id": f"il_1MtHbELkdIwHu7ix{number:08}",
        "object": "line_item",
        "amount": 2000,
        "currency": "usd",
        "description": "1 x Gold Special (at $20.00 / month)",
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": "in_1MtHbELkdIwHu7ixl4OzzPMv",
        "livemode": False,
        "metadata": {"order_id": "6735"},
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {"proration": False, "subscription": "sub_1Mt"},
            "type": "subscription_item_details",
        },
        "period": {"end": 1680640231, "start": 1680640229},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": "price_1MtHbELkdIwHu7ix", "product": "prod_NeSbPiRhEuPu"},
            "type": "price_details",
            "unit_amount_decimal": "2000",
        },
        "quantity": 1,
        "taxes": [],
    }


def invoice_paid(lines: int) -> dict:
    return {
        "id": "evt_",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1680640231,
        "data": {
            "object": {
                "id": "in_1MtHbELkdIwHu7ixl4OzzPMv",
                "object": "invoice",
                "account_country": "US",
                "account_name": "Stripe Docs",
                "amount_due": 2000 * lines,
                "amount_paid": 2000 * lines,
                "amount_remaining": 0,
                "attempt_count": 1,
                "attempted": True,
                "automatic_tax": {"enabled": False, "liability": None, "status": None},
                "billing_reason": "subscription_cycle",
                "collection_method": "charge_automatically",
                "created": 1680644467,
                "currency": "usd",
                "customer": "cus_NeZwdNtLEOXuvB",
                "customer_address": None,
                "customer_email": "jennyrosen@example.com",
                "customer_name": "Jenny Rosen",
                "default_tax_rates": [],
                "discounts": [],
                "due_date": None,
                "footer": None,
                "hosted_invoice_url": "https://invoice.stripe.com/i/acct_1M/test_YWNjdF8xTXR",
                "invoice_pdf": "https://pay.stripe.com/invoice/acct_1M/test_YWNjdF8xTXR/pdf",
                "issuer": {"type": "self"},
                "lines": {
                    "object": "list",
                    "data": [invoice_line(number) for number in range(lines)],
                    "has_more": False,
                    "total_count": lines,
                    "url": "/v1/invoices/in_1MtHbELkdIwHu7ixl4OzzPMv/lines",
                },
                "livemode": False,
                "metadata": {},
                "number": "9545A614-0001",
                "payment_settings": {"default_mandate": None, "payment_method_types": None},
                "period_end": 1680644467,
                "period_start": 1680644467,
                "starting_balance": 0,
                "status": "paid",
                "status_transitions": {"finalized_at": 1680644467, "paid_at": 1680644467},
                "subtotal": 2000 * lines,
                "total": 2000 * lines,
                "webhooks_delivered_at": 1680644467,
            }
        },
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_vZ4DTqfxuyjDX5", "idempotency_key": "b7d0f4c2"},
        "type": "invoice.paid",
    }


def exchanges(lines: int, requests: int, *, secret: str = SECRET) -> list[Exchange]:
    """Return signed requests, each with an event of its own."""
    template = json.dumps(invoice_paid(lines), indent=2).encode()  # Stripe indents
    bodies = [
        template.replace(b'"evt_"', b'"evt_1MtHbELkdIwHu7ix%08d"' % next(IDS), 1)
        for _ in range(requests)
    ]
    return [(scope(body, secret), body) for body in bodies]


def scope(body: bytes, secret: str) -> dict:
    header = stripe_signature_header(body, [secret], signed_at=int(time.time()))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"example.com"),
            (b"user-agent", b"Stripe/1.0 (+https://stripe.com/docs/webhooks)"),
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json; charset=utf-8"),
            (b"accept", b"*/*; q=0.5, application/xml"),
            (b"cache-control", b"no-cache"),
            (b"stripe-signature", header.encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 443),
    }


# --- who answers ------------------------------------------------------------------------


def hookloop_app(*, is_async: bool) -> App:
    hooks = Hooks(secrets=SECRET)

    async def handled(event):
        pass

    def handled_in_thread(event):
        pass

    hooks.on("invoice.paid")(handled if is_async else handled_in_thread)
    return hooks.asgi


def fastapi_app() -> App:
    """Return the route that Stripe's own guide would have you write."""
    app = FastAPI()

    async def handled(event):
        pass

    @app.post(PATH)
    async def webhook(request: Request):
        payload = await request.body()
        try:
            event = stripe.Webhook.construct_event(
                payload, request.headers.get("stripe-signature"), SECRET
            )
        except (ValueError, stripe.SignatureVerificationError) as error:
            raise HTTPException(400) from error
        if event.type == "invoice.paid":
            await handled(event)
        return {"outcome": "handled"}

    return app


async def call(app: App, exchange: Exchange) -> int:
    """Send one request as a server would; return the status of the answer."""
    request_scope, body = exchange
    statuses = []

    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(request_scope, receive, send)
    return statuses[0]


# --- the measurements -------------------------------------------------------------------


def times_of_calls(
    runner: asyncio.Runner, app: App, sent: list[Exchange], status: int
) -> list[float]:
    async def run() -> list[float]:
        times = []
        for exchange in sent:
            began = time.perf_counter()
            answered = await call(app, exchange)
            times.append(time.perf_counter() - began)
            assert answered == status, answered
        return times

    return runner.run(run())


def times_of_hmac(sent: list[Exchange]) -> list[float]:
    key = SECRET.encode()
    times = []
    for _, body in sent:
        began = time.perf_counter()
        hmac.digest(key, body, "sha256")
        times.append(time.perf_counter() - began)
    return times


def times_of_parsing(sent: list[Exchange]) -> list[float]:
    times = []
    for _, body in sent:
        began = time.perf_counter()
        json.loads(body)
        times.append(time.perf_counter() - began)
    return times


def times_of_judgement(sent: list[Exchange]) -> list[float]:
    provider, now = Stripe(), time.time()
    keyring = Keyring(SECRET, provider)
    times = []
    for request_scope, body in sent:
        began = time.perf_counter()
        verdict = judge(
            Incoming(body, request_scope["headers"]),
            provider,
            keyring,
            now,
            TOLERANCE_SECONDS,
            BODY_BYTES_MAX,
        )
        times.append(time.perf_counter() - began)
        assert isinstance(verdict, Rejected)
    return times


def times_of_import(statement: str, runs: int) -> Iterator[float]:
    # Some containers forbid writing bytecode; pip has written it at installation all the same.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], env=environment, check=True)
        yield time.perf_counter() - began


class Rows:
    """What was measured under a name: the median of each round, and the least of all."""

    def __init__(self) -> None:
        self._medians: dict[str, list[float]] = {}
        self._least: dict[str, float] = {}

    def note(self, name: str, times: list[float]) -> None:
        self._medians.setdefault(name, []).append(statistics.median(times))
        self._least[name] = min(self._least.get(name, float("inf")), *times)

    def median(self, name: str) -> float:
        return statistics.median(self._medians[name])

    def least(self, name: str) -> float:
        return self._least[name]


def measure(requests: int, rounds: int) -> Rows:
    rows = Rows()
    ours, ours_sync = hookloop_app(is_async=True), hookloop_app(is_async=False)
    theirs = fastapi_app()
    with asyncio.Runner() as runner:

        def note(name: str, app: App, sent: list[Exchange], status: int = 200) -> None:
            rows.note(name, times_of_calls(runner, app, sent, status))

        for app in (ours, ours_sync, theirs):  # imports, caches, threads
            times_of_calls(runner, app, exchanges(1, 50), 200)
        for _ in range(rounds):
            for size, lines in LINES.items():
                fewer = requests // 2 if lines == 1 else requests // 4  # theirs takes long
                note(f"FastAPI {size}", theirs, exchanges(lines, fewer))
                note(f"async {size}", ours, exchanges(lines, requests))
                note(f"sync {size}", ours_sync, exchanges(lines, requests))
                forged = exchanges(lines, requests, secret=OTHER_SECRET)
                rows.note(f"HMAC {size}", times_of_hmac(forged))
                rows.note(f"judgement {size}", times_of_judgement(forged))
                note(f"rejection {size}", ours, forged, 400)
    return rows


def measure_import(runs: int) -> Rows:
    rows = Rows()
    list(times_of_import("import hookloop", 2))  # compiles what is not compiled
    for _ in range(runs):
        rows.note("bare", list(times_of_import("pass", 1)))
        rows.note("hookloop", list(times_of_import("import hookloop", 1)))
    return rows


def parts() -> dict[str, App]:
    """Return the accepting application, each time without something; last without anything."""

    def without_task(hooks: Hooks) -> None:
        class Unprotected(AsyncRunner):
            def run_unbroken(self, work):
                SyncRunner().run(work)  # in the request's own task

        runner, answer = Unprotected(), hooks.answer
        hooks.answer = lambda request, _runner: answer(request, runner)

    def without_memory(hooks: Hooks) -> None:
        """By `recent_max` of the `Hooks`."""

    def without_handling(hooks: Hooks) -> None:
        hooks._act_on = lambda *_: HANDLED  # noqa: SLF001  # there is no door to half a request

    def without_anything(hooks: Hooks) -> None:
        hooks.answer = lambda *_: HANDLED

    async def handled(event):
        pass

    async def nothing(_scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    apps: dict[str, App] = {}
    for name, change in {
        "all of it": None,
        "without the task of its own": without_task,
        "without a memory of events": without_memory,
        "verified and parsed, no more": without_handling,
        "read and answered, no more": without_anything,
    }.items():
        hooks = Hooks(SECRET, recent_max=0 if change is without_memory else RECENT_MAX)
        hooks.on("invoice.paid")(handled)
        if change is not None:
            change(hooks)
        apps[name] = hooks.asgi
    return apps | {"the measuring itself": nothing}


def print_parts(requests: int, rounds: int) -> None:
    rows = Rows()
    apps = parts()
    with asyncio.Runner() as runner:
        for _ in range(rounds):
            for name, app in apps.items():
                rows.note(name, times_of_calls(runner, app, exchanges(1, requests), 200))
            sent = exchanges(1, requests)
            rows.note("json.loads alone", times_of_parsing(sent))
            rows.note("one HMAC alone", times_of_hmac(sent))
    for name in [*apps, "json.loads alone", "one HMAC alone"]:
        print(f"{name:38}{micro(rows.median(name))}{micro(rows.least(name))}")


# --- the table --------------------------------------------------------------------------


class Table:
    """Prints rows, and remembers whether all targets held."""

    def __init__(self) -> None:
        self.held = True
        print(f"{'':38}{'median':>10}{'minimum':>10}{'ratio':>9}{'(minima)':>10}   target")

    def base(self, label: str, rows: Rows, name: str) -> None:
        print(f"{label:38}{micro(rows.median(name))}{micro(rows.least(name))}{'1':>9}")

    def faster(self, label: str, rows: Rows, name: str, than: str, target: float | None) -> None:
        ratio = rows.median(than) / rows.median(name)
        least = rows.least(than) / rows.least(name)
        holds = target is None or least >= target
        wanted = "" if target is None else f"at least {target:.1f} times faster"
        self._row(label, rows, name, f"{ratio:8.1f}x{least:9.1f}x", wanted, holds)

    def slower(self, label: str, rows: Rows, name: str, than: str, target: float | None) -> None:
        ratio = rows.median(name) / rows.median(than)
        least = rows.least(name) / rows.least(than)
        holds = target is None or least <= target
        wanted = "" if target is None else f"at most {target:g} times the HMAC"
        self._row(label, rows, name, f"{ratio:8.2f} {least:9.2f} ", wanted, holds)

    def over(self, label: str, rows: Rows, name: str, than: str, target: float) -> None:
        over = rows.median(name) - rows.median(than)
        least = rows.least(name) - rows.least(than)
        cells = f"{over * 1e3:+7.1f}ms{least * 1e3:+8.1f}ms"
        wanted = f"at most {target * 1e3:g} ms over bare"
        self._row(label, rows, name, cells, wanted, least <= target)

    def _row(self, label: str, rows: Rows, name: str, cells: str, wanted: str, holds: bool) -> None:
        self.held = self.held and holds
        verdict = f"{wanted}: {'holds' if holds else 'MISSED'}" if wanted else ""
        figures = f"{micro(rows.median(name))}{micro(rows.least(name))}"
        print(f"{label:38}{figures}{cells}   {verdict}".rstrip())


def micro(seconds: float) -> str:
    return f"{seconds * 1e6:7.1f} µs" if seconds < 0.01 else f"{seconds * 1e3:7.1f} ms"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=400, help="a round and a row")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--imports", type=int, default=30)
    parser.add_argument("--parts", action="store_true", help="what each part costs")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a target is missed")
    options = parser.parse_args()
    # A line for a refused request is written once a second; here it would only hide the table.
    logging.getLogger("hookloop").addHandler(logging.NullHandler())
    logging.getLogger("hookloop").propagate = False

    if options.parts:
        print_parts(options.requests, options.rounds)
        return 0
    rows = measure(options.requests, options.rounds)
    imports = measure_import(options.imports)
    table = Table()
    small_ratio = rows.least("FastAPI 3 KB") / rows.least("async 3 KB")
    for size, target in {"3 KB": 20.0, "24 KB": min(20.0, small_ratio)}.items():
        [(_, body)] = exchanges(LINES[size], 1)
        table.base(f"accept {len(body):6} B  FastAPI, stripe", rows, f"FastAPI {size}")
        table.faster("  async handler", rows, f"async {size}", f"FastAPI {size}", target)
        table.faster("  sync handler", rows, f"sync {size}", f"FastAPI {size}", None)
        table.base(f"reject {len(body):6} B  one HMAC", rows, f"HMAC {size}")
        table.slower("  judgement", rows, f"judgement {size}", f"HMAC {size}", 2)
        table.slower("  whole ASGI answer", rows, f"rejection {size}", f"HMAC {size}", None)
    table.base("import          bare python", imports, "bare")
    table.over("  import hookloop", imports, "hookloop", "bare", 0.025)
    return 1 if options.strict and not table.held else 0


if __name__ == "__main__":
    sys.exit(main())
