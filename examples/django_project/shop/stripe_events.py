"""The handlers of this app. Nobody imports this module but `hookloop.events.django`."""

from project.webhooks import hooks

from hookloop import Event

from .customers import customers


@hooks.on("customer.created", "customer.updated")
def remember(event: Event) -> None:
    customer = event.data["object"]
    customers[customer["id"]] = customer["name"]
