"""Django by its own test client, its handlers and its URLconf, in a process of its own."""

import os
import subprocess
import sys

PROGRAM = """
import asyncio, sys, types
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

from hookloop import ConfigError, Hooks
from hookloop.testing import SECRET, asend, make, send

hooks = Hooks(secrets=SECRET, recent_max=0)
hooks.on("customer.updated")(lambda event: None)

def fail(request):
    raise KeyError("customer")

async def afail(request):
    raise KeyError("customer")

urls = types.ModuleType("urls")
urls.urlpatterns = [
    *hooks.django_urls("webhooks/stripe"),
    path("fail", fail), path("afail", afail),
    path("unexempt", lambda request: HttpResponse("ok")),
]
sys.modules["urls"] = urls
settings.configure(
    ALLOWED_HOSTS=["testserver"], SECRET_KEY="for tests", ROOT_URLCONF="urls", LOGGING_CONFIG=None,
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"], USE_TZ=True,
)
django.setup()

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import AsyncClient, Client

event = make("customer.updated")
strict = Client(enforce_csrf_checks=True)
for app in (Client(), strict, WSGIHandler(), ASGIHandler()):
    answer = send(app, event)
    assert (answer.status, answer.outcome) == (200, "handled"), (app, answer)
    assert send(app, event, secret="whsec_other").status == 400, app
    assert send(app, event, path="/nowhere").status == 404, app
for app in (Client(), AsyncClient(), WSGIHandler(), ASGIHandler()):
    answer = asyncio.run(asend(app, event))
    assert (answer.status, answer.outcome) == (200, "handled"), (app, answer)
assert send(strict, event, path="/unexempt").status == 403
assert isinstance(send(Client(), event, path="/fail").error, KeyError)
assert isinstance(asyncio.run(asend(AsyncClient(), event, path="/afail")).error, KeyError)
try:
    send(AsyncClient(), event)
except ConfigError as error:
    assert "await asend" in str(error)
else:
    raise AssertionError("send() took an AsyncClient")
"""


def test_django_is_reached_by_client_and_by_handlers():
    """Sync and async, with CSRF checks as in production, and by a wrong secret and path."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDEVMODE": ""},
    )

    assert done.returncode == 0, done.stderr
