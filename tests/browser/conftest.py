"""A real Chromium before the inspector's pages, which show a store that a test fills."""

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from patience import PATIENCE

from hookloop.clock import SystemClock
from hookloop.inspector import CaptureStore
from hookloop.inspector.pages import Inspected, TunnelShown, inspector_pages
from hookloop.inspector.server import inspector_listener, running_inspector

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


@pytest.fixture(scope="module")
def browser():
    """
    Playwright's driver with the machine's Chromium; where there is none, CI fails.

    For a module and no longer: as long as it lives, an event loop runs in this thread, and no
    other test could run its own.
    """
    if not CHROMIUM:
        why = "no chromium on PATH: on Debian, apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE * 1000)

    with sync_playwright() as playwright:
        # Without its own sandbox, which root may not have: the pages are ours.
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser, inspector):
    """
    A page that fails the test if a script failed, or its policy refused anything.

    It is left before the *inspector* ends: a live list would call for it, which is a fault.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(PATIENCE * 1000)
    made = context.new_page()
    faults = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    made.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    made.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    made.faults = faults
    yield made
    context.close()
    assert faults == []


@dataclass
class Served:
    """An inspector that runs, and what it shows."""

    url: str
    store: CaptureStore


SECRET = "whsec_browser-tests"


def serve(store: CaptureStore, *, routes=(), **shown) -> Iterator[Served]:
    """Serve *store* in a thread; *routes* are mounted beside the pages."""
    started, loop = threading.Event(), asyncio.new_event_loop()
    served = Served("", store)
    stop = asyncio.Event()

    async def main():
        tunnel = TunnelShown("web", "https://shop.tun.test", "http://localhost:3000")
        facts = {"tunnels": lambda: (tunnel,), "secrets": {"live": SECRET}}
        inspected = Inspected(store=store, clock=SystemClock(), **{**facts, **shown})
        with inspector_listener("127.0.0.1:0") as listener:
            pages = [*routes, *inspector_pages(inspected)]
            async with running_inspector(listener, pages) as url:
                served.url = url
                started.set()
                await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    assert started.wait(PATIENCE)
    try:
        yield served
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        loop.close()


@pytest.fixture
def inspector(tmp_path):
    """An inspector whose store is empty."""
    store = CaptureStore(tmp_path / "captures.db")
    yield from serve(store)
    store.close()
