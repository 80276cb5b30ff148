"""The Django app of an inbox: put ``hookloop.inbox.django`` into ``INSTALLED_APPS``."""
