"""
A Flask app with webhooks in it.

    STRIPE_WEBHOOK_SECRET=whsec_... flask --app examples/flask_app.py run --port 3000
"""

import os

from flask import Flask

from hookloop import Event, Hooks

hooks = Hooks(secrets=os.environ["STRIPE_WEBHOOK_SECRET"])
customers: dict[str, str] = {}


@hooks.on("customer.created", "customer.updated")
def remember(event: Event) -> None:
    customer = event.data["object"]
    customers[customer["id"]] = customer["name"]


app = Flask(__name__)
app.register_blueprint(hooks.flask_blueprint(), url_prefix="/webhooks/stripe")


@app.get("/customers/<customer_id>")
def customer_name(customer_id: str) -> dict[str, str | None]:
    return {"name": customers.get(customer_id)}
