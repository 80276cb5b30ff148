"""
The app of `hookloop demo`: one handler, served by any ASGI server.

    STRIPE_WEBHOOK_SECRET=whsec_... uvicorn --app-dir examples customers:app --port 3000
"""

import os

from hookloop import Event, Hooks

hooks = Hooks(secrets=os.environ["STRIPE_WEBHOOK_SECRET"])


@hooks.on("customer.updated")
def customer_updated(event: Event) -> None:
    customer = event.data["object"]
    for field, before in event.previous.items():
        print(f"{event.id} {customer['id']}: {field} was {before!r}, is {customer[field]!r}")


@hooks.on_prefix("customer.")
def any_customer_event(event: Event) -> None:
    print(f"{event.id} {event.type}")


app = hooks.asgi
