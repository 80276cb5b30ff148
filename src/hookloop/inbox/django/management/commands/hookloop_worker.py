"""``manage.py hookloop_worker``: runs the handlers of the hooks in ``HOOKLOOP_HOOKS``."""

import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

__all__ = ["Command"]


class Command(BaseCommand):
    """Ends at SIGTERM and Ctrl-C, once what is running has finished."""

    help = "Run the handlers of the inbox that the setting HOOKLOOP_HOOKS names."

    def handle(self, *_args: Any, **_options: Any) -> None:
        path = getattr(settings, "HOOKLOOP_HOOKS", None)
        if not path:
            raise CommandError(
                "name your Hooks in the settings: HOOKLOOP_HOOKS = 'shop.urls.hooks'"
            )
        inbox = import_string(path).inbox
        if inbox is None:
            raise CommandError(f"{path} has no inbox: pass inbox=DjangoInbox()")
        asyncio.run(_work(inbox))


async def _work(inbox: Any) -> None:
    working = asyncio.ensure_future(inbox.work())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    await asyncio.wait([working])
    if not working.cancelled():
        working.result()
