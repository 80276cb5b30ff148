"""
A FastAPI app with webhooks in it.

    STRIPE_WEBHOOK_SECRET=whsec_... uvicorn --app-dir examples fastapi_app:app --port 3000
"""

import os

from fastapi import FastAPI

from hookloop import Event, Hooks

hooks = Hooks(secrets=os.environ["STRIPE_WEBHOOK_SECRET"])
customers: dict[str, str] = {}


@hooks.on("customer.created", "customer.updated")
async def remember(event: Event) -> None:
    customer = event.data["object"]
    customers[customer["id"]] = customer["name"]


@hooks.on("customer.deleted")
def forget(event: Event) -> None:  # no async: it runs in a thread, and may block there
    customers.pop(event.data["object"]["id"], None)


app = FastAPI()
app.include_router(hooks.fastapi_router(), prefix="/webhooks/stripe")


@app.get("/customers/{customer_id}")
async def customer_name(customer_id: str) -> dict[str, str | None]:
    return {"name": customers.get(customer_id)}
