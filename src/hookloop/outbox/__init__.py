"""
Webhooks that your own product sends: kept in your transaction, signed, and delivered.

    outbox = Outbox("sqlite:///app.db")

    with sqlite3.connect("app.db") as conn:
        conn.execute("UPDATE invoices SET paid = 1 WHERE id = ?", (7,))
        outbox.append_sync(OutboxMessage("invoice.paid", {"id": 7}, account="acme"), conn=conn)

The message is sent if and only if the transaction commits. `hookloop outbox worker`, or
`Outbox.run` in a process of yours, makes the deliveries. Read `message.py` and `endpoint.py` for
the nouns, `sender.py` for the way of a message.
"""

from .endpoint import Endpoint
from .message import OutboxMessage
from .outbox import Outbox
from .settings import OutboxSettings

__all__ = ["Endpoint", "Outbox", "OutboxMessage", "OutboxSettings"]
