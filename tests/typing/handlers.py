"""What a type checker must say of handlers; the lines it must refuse end in `# error`."""

from typing import assert_type

import stripe

from hookloop import Event, Handlers, Hooks, ProviderHooks, Reply
from hookloop.events.providers import GitHub

hooks = Hooks("whsec_x")
handlers = Handlers()


@hooks.on("invoice.paid")
def paid(event: Event[stripe.Invoice]) -> None:
    assert_type(event.object, stripe.Invoice)
    assert_type(event.fetch(), stripe.Invoice)


@hooks.on("invoice.paid", "invoice.voided", "v1.invoice.paid")
async def several(event: Event[stripe.Invoice]) -> None:
    assert_type(await event.afetch(), stripe.Invoice)


@handlers.on("charge.dispute.created")
def disputed(event: Event[stripe.Dispute]) -> None: ...


@hooks.on("issuing_card.created")
def card(event: Event[stripe.issuing.Card]) -> None: ...


@hooks.on("customer.source.created")
def source(event: Event[stripe.BankAccount | stripe.Card | stripe.Source]) -> None: ...


@hooks.on("invoice.paid", "charge.failed")
def mixed(event: Event[stripe.Invoice | stripe.Charge]) -> None: ...


@hooks.on("invoice.paid")
def plain(event: Event) -> None: ...


@hooks.on("issuing_authorization.request", deadline_seconds=1.5, default=Reply({"approved": False}))
def decide(event: Event[stripe.issuing.Authorization]) -> Reply:
    return Reply({"approved": True})


@hooks.on_prefix("customer.")
def family(event: Event) -> None: ...


@hooks.on_any
async def everything(event: Event) -> None: ...


@hooks.on_unknown("preview.thing")
def preview(event: Event) -> None: ...


github = ProviderHooks(GitHub(), "secret")


@github.on("push")
def pushed(event: Event) -> None: ...


hooks.on("customer.created")(lambda event: print(event.object.email))
assert_type(decide(Event({}, b"", id="evt_1", type="t")), Reply)


@hooks.on("invoice.paid")  # error
def wrong_object(event: Event[stripe.Customer]) -> None: ...


@hooks.on("invoice.payed")  # error
def misspelt(event: Event) -> None: ...


@hooks.on("invoice.paid", "charge.failed")
def too_narrow(event: Event[stripe.Invoice]) -> None: ...  # mixed types are Any: nothing to say


@handlers.on("charge.dispute.created")  # error
async def wrong_async(event: Event[stripe.Charge]) -> None: ...


hooks.on("customer.created")(lambda event: event.object.no_such_field)  # error
