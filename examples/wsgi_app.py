"""
Webhooks in a plain WSGI app, with the standard library alone.

    STRIPE_WEBHOOK_SECRET=whsec_... python examples/wsgi_app.py 3000
"""

import json
import os
import sys
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import make_server

from hookloop import Event, Hooks

hooks = Hooks(secrets=os.environ["STRIPE_WEBHOOK_SECRET"])
customers: dict[str, str] = {}


@hooks.on("customer.created", "customer.updated")
async def remember(event: Event) -> None:  # async here too: all of them share one loop
    customer = event.data["object"]
    customers[customer["id"]] = customer["name"]


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path.rstrip("/") == "/webhooks/stripe":
        return hooks.wsgi(environ, start_response)
    body = json.dumps({"name": customers.get(path.removeprefix("/customers/"))}).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]


if __name__ == "__main__":
    with make_server("127.0.0.1", int(sys.argv[1]), app) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
