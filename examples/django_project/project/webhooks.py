"""The one `Hooks` of the project. It imports no app: the apps import it."""

import os

from hookloop import Hooks

hooks = Hooks(secrets=os.environ["STRIPE_WEBHOOK_SECRET"])
