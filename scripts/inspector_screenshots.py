"""
Makes the pictures of the inspector's pages in docs/images, with the machine's own Chromium.

    python scripts/inspector_screenshots.py

What they show is made up, and the same each time but for the clock.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT / "tests")]

from conftest import CHROMIUM, SECRET, serve  # noqa: E402  # of the tests
from playwright.sync_api import sync_playwright  # noqa: E402  # after the path
from shown_captures import event, shown  # noqa: E402  # of the tests

from hookloop.inspector import CaptureStore  # noqa: E402  # after the path
from hookloop.signing import stripe_signature_header  # noqa: E402  # after the path

OUT = ROOT / "docs" / "images"
SIZE = {"width": 1200, "height": 760}
TYPES = (
    "invoice.paid",
    "charge.failed",
    "customer.subscription.updated",
    "payment_intent.succeeded",
    "checkout.session.completed",
)


def fill(store: CaptureStore) -> None:
    made = []
    for number in range(1, 46):
        status = 500 if number % 13 == 0 else 404 if number % 17 == 0 else 200
        made.append(
            shown(
                number,
                body=event(number - (number % 13 == 1), TYPES[number % 5]),
                status=status,
                ago=880 - number * 19,
                duration_seconds=0.02 + (number * 37 % 90) / 1000,
            )
        )
    body = event(46, "invoice.payment_failed")
    late = int(made[-1].started_at) - 900
    header = stripe_signature_header(body, [SECRET], signed_at=late).encode()
    reason = b'{"error": "Timestamp outside the tolerance zone"}'
    signed = ((b"Host", b"shop.tun.test"), (b"Stripe-Signature", header))
    made.append(
        shown(
            46,
            body=body,
            headers=signed,
            status=400,
            answer=reason,
            answer_kind=b"application/json",
        )
    )
    store.add(made, now=made[-1].started_at)


def main() -> None:
    if not CHROMIUM:
        raise SystemExit("no chromium on PATH: on Debian, apt-get install chromium")
    OUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        store = CaptureStore()
        fill(store)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for served in serve(store):
            newest, first = store.find(limit=1).items[0].id, store.find().items[5].id
            shots = {
                "list-light": "/",
                "request-dark": f"/requests/{newest}",
                "compare-light": f"/diff?a={first}&b={newest}",
                "status-dark": "/status",
            }
            for name, address in shots.items():
                scheme = name.partition("-")[2]
                page = browser.new_page(viewport=SIZE, color_scheme=scheme)
                page.goto(served.url + address)
                if address == "/":
                    page.locator("#live.on").wait_for()
                page.screenshot(path=OUT / f"inspector-{name}.png")
                page.close()
        browser.close()
        store.close()


if __name__ == "__main__":
    main()
