"""System checks: what would make every event vanish without a word."""

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Warning, register  # noqa: A004  # Django's own name

from .apps import HANDLERS_MODULE
from .view import known_receivers

if TYPE_CHECKING:
    from hookloop.events.receiver import Receiver

__all__ = ["check_handlers"]

BODY_BYTES_NEEDED = 1024 * 1024  # what `Hooks` take; Django's own default is 2.5 MB


@register("hookloop")
def check_handlers(**_: Any) -> list[CheckMessage]:
    """Warn of hooks without a handler, and of settings that refuse large events."""
    found: list[CheckMessage] = []
    # The URLconf makes the views: without it nothing is known yet, and nothing is wrong.
    if getattr(settings, "ROOT_URLCONF", None):
        from django.urls import get_resolver

        get_resolver().url_patterns  # noqa: B018  # reading it imports the URLconf
    found.extend(
        _without_handlers(receiver) for receiver in known_receivers() if _is_idle(receiver)
    )
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if limit is not None and limit < BODY_BYTES_NEEDED:
        found.append(
            Warning(
                f"DATA_UPLOAD_MAX_MEMORY_SIZE is {limit} bytes: larger events are answered 400 by "
                "Django itself.",
                hint=f"Set it to {BODY_BYTES_NEEDED} or more.",
                id="hookloop.W002",
            )
        )
    return found


def _is_idle(receiver: "Receiver") -> bool:
    return not receiver.router.handlers()


def _without_handlers(receiver: "Receiver") -> CheckMessage:
    apps_known = ", ".join(sorted(config.name for config in apps.get_app_configs()))
    return Warning(
        f"{receiver!r} answers webhooks and has no handler: every event is ignored.",
        hint=(
            f"Register handlers in a module {HANDLERS_MODULE}.py of an installed app, which "
            f"imports the very same Hooks object. Installed: {apps_known}."
        ),
        id="hookloop.W001",
    )
