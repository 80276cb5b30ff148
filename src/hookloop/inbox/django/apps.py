"""Names the app."""

from django.apps import AppConfig

__all__ = ["HookloopConfig"]


class HookloopConfig(AppConfig):
    """What Django knows the inbox by."""

    name = "hookloop.inbox.django"
    label = "hookloop"
    verbose_name = "Webhooks"
    default_auto_field = "django.db.models.BigAutoField"
