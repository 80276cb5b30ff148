"""A Django project in one process of its own: migrate, receive, fail once, commit, replay."""

import asyncio
import sys

import django
from django.conf import settings

ENGINE, NAME, HOST, USER = sys.argv[1:]
settings.configure(
    DATABASES={
        "default": {"ENGINE": ENGINE, "NAME": NAME, "HOST": HOST, "USER": USER, "PASSWORD": ""}
    },
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "hookloop.inbox.django",
    ],
    SECRET_KEY="x",
    USE_TZ=True,
)
django.setup()

from django.contrib import admin  # noqa: E402  # after the setup
from django.contrib.auth.models import Group  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from inbox_events import AT_ONCE, SECRET, WAIT_SECONDS, body_of, send  # noqa: E402

from hookloop import Hooks  # noqa: E402
from hookloop.inbox import DjangoInbox, Inbox  # noqa: E402
from hookloop.inbox.django.models import Delivery  # noqa: E402
from hookloop.ledger.store import Selection  # noqa: E402

if connection.vendor == "sqlite":  # as the page about this inbox asks for
    connection.cursor().execute("PRAGMA journal_mode = WAL")
call_command("migrate", verbosity=0)
call_command("makemigrations", "--check", "--dry-run", verbosity=0)
hooks, tries = Hooks(SECRET, inbox=Inbox(DjangoInbox(), AT_ONCE)), []


@hooks.on("customer.updated")
def paid(event, tx):
    tries.append(event.id)
    Group.objects.create(name=f"{event.id} {len(tries)}")
    if len(tries) == 1:
        raise RuntimeError


async def until_settled(attempts):
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            found = await hooks.inbox._store.find(Selection(), limit=10)
            if found and all(d.state.is_settled and d.attempts == attempts for d in found):
                return
            await hooks.inbox._store.wait_due((), 0.05)  # at once, and nobody writes


assert send(hooks, body_of(1)).outcome == "accepted"
assert send(hooks, body_of(1)).outcome == "duplicate"
hooks.inbox._home.submit(until_settled(2)).result(WAIT_SECONDS)
assert [group.name for group in Group.objects.all()] == ["evt_1 2"], "one effect, of the second try"

[delivery] = Delivery.objects.select_related("message")
assert (delivery.state, delivery.message.key) == ("done", "evt_1")
page = admin.site._registry[Delivery]
page.message_user = lambda _request, text: print(text)
found, _ = page.get_search_results(None, Delivery.objects.all(), "evt_1")
page.replay(None, found)
hooks.inbox._home.submit(until_settled(3)).result(WAIT_SECONDS)
assert Group.objects.count() == 2
hooks.inbox.stop()
print("ok")
