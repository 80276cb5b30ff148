"""
A Django project whose handlers are found by themselves.

    STRIPE_WEBHOOK_SECRET=whsec_... python examples/django_project/manage.py runserver 3000

Read ``project/webhooks.py``, then ``project/urls.py`` and ``shop/stripe_events.py``.
"""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    execute_from_command_line(sys.argv)
