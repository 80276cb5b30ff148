"""
A Starlette app with webhooks in it.

    STRIPE_WEBHOOK_SECRET=whsec_... uvicorn --app-dir examples starlette_app:app --port 3000
"""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hookloop import Event, Hooks

hooks = Hooks(secrets=os.environ["STRIPE_WEBHOOK_SECRET"])
customers: dict[str, str] = {}


@hooks.on("customer.created", "customer.updated")
async def remember(event: Event) -> None:
    customer = event.data["object"]
    customers[customer["id"]] = customer["name"]


async def customer_name(request: Request) -> JSONResponse:
    return JSONResponse({"name": customers.get(request.path_params["customer_id"])})


app = Starlette(
    routes=[
        # Two routes and no Mount: a Mount redirects the form without a slash, and Stripe
        # takes a redirect for a failure.
        Route("/webhooks/stripe", hooks.asgi),
        Route("/webhooks/stripe/", hooks.asgi),
        Route("/customers/{customer_id}", customer_name),
    ]
)
