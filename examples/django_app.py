"""
A Django project in one file, with webhooks in it.

    STRIPE_WEBHOOK_SECRET=whsec_... python examples/django_app.py runserver 3000

or, under ASGI:

    STRIPE_WEBHOOK_SECRET=whsec_... uvicorn --app-dir examples django_app:asgi --port 3000

A project of several apps, each with handlers of its own: ``examples/django_project``.
"""

import os
import sys

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.management import execute_from_command_line
from django.http import HttpRequest, JsonResponse
from django.urls import path

from hookloop import Event, Hooks

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["hookloop.events.django"],  # the system checks
    MIDDLEWARE=[
        # Both refuse or redirect what is not a browser; the webhook's view is exempt.
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "for this example only"),
)
django.setup()

hooks = Hooks(secrets=os.environ["STRIPE_WEBHOOK_SECRET"])
customers: dict[str, str] = {}


@hooks.on("customer.created", "customer.updated")
def remember(event: Event) -> None:  # a thread where the ORM works, under ASGI too
    customer = event.data["object"]
    customers[customer["id"]] = customer["name"]


def customer_name(_request: HttpRequest, customer_id: str) -> JsonResponse:
    return JsonResponse({"name": customers.get(customer_id)})


urlpatterns = [
    *hooks.django_urls("webhooks/stripe"),  # with and without a slash at its end
    path("customers/<customer_id>", customer_name),
]

asgi = ASGIHandler()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
