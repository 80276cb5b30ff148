"""Every backend of an inbox there is: what is promised must hold on each of them."""

import asyncio
from pathlib import Path

import pytest
from inbox_events import AT_ONCE, SECRET
from postgres_server import emptied, shared_database

from hookloop import Hooks
from hookloop.inbox import Inbox, InboxSettings

URLS = {"memory": "memory:", "sqlite": "sqlite:///{folder}/hooks.db", "postgres": ""}


@pytest.fixture(params=URLS)
def url(request, tmp_path: Path) -> str:
    if request.param == "postgres":
        return asyncio.run(emptied(shared_database()))
    return URLS[request.param].format(folder=tmp_path)


@pytest.fixture
def hooks_at(url):
    """Make hooks whose events are kept at the backend; their inboxes end with the test."""
    made: list[Hooks] = []

    def make(settings: InboxSettings = AT_ONCE, **more) -> Hooks:
        hooks = Hooks(SECRET, inbox=Inbox(url, settings), **more)
        made.append(hooks)
        return hooks

    yield make
    for hooks in made:
        hooks.inbox.stop()
