"""
An AWS Lambda function that takes webhooks; its handler is ``lambda_function.lambda_handler``.

API Gateway (both payload formats), a load balancer, a function URL or EventBridge may call it.
To try it, give it what one of these would hand over:

    STRIPE_WEBHOOK_SECRET=whsec_... python examples/lambda_function.py < event.json
"""

import json
import os
import sys

from hookloop import Event, Hooks

hooks = Hooks(secrets=os.environ["STRIPE_WEBHOOK_SECRET"])


@hooks.on("customer.created", "customer.updated")
def remember(event: Event) -> None:
    customer = event.data["object"]
    print(f"{event.id} {customer['id']} is {customer['name']}", file=sys.stderr)


lambda_handler = hooks.lambda_handler

if __name__ == "__main__":
    print(json.dumps(lambda_handler(json.load(sys.stdin))))
