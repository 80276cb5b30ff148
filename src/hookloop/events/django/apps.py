"""The app for INSTALLED_APPS."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

__all__ = ["HANDLERS_MODULE", "HookloopConfig"]

HANDLERS_MODULE = "stripe_events"


class HookloopConfig(AppConfig):
    """Imports ``stripe_events`` of every app, and registers the system checks."""

    name = "hookloop.events.django"
    label = "hookloop"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        from . import checks  # noqa: F401  # importing it registers the checks

        autodiscover_modules(HANDLERS_MODULE)
