"""
The inspector: what passed a tunnel, kept, found again and shown.

Read `captured` first: one exchange as it is stored. `recorder` takes them off the path of
traffic, `store` keeps them in SQLite, `query` is the language they are found by, and `server`
shows them to a browser; `ngrok_resources`, `ngrok_errors` and `ngrok_api` are for programs that
know ngrok's local API. The agent knows nothing of it: the command joins the two.
"""

from .captured import Captured, CapturedBody, Summary, WebhookFacts
from .query import Query, parse_query
from .recorder import Recorder
from .redaction import Redaction, parse_redactions
from .store import CaptureStore, Page

__all__ = [
    "CaptureStore",
    "Captured",
    "CapturedBody",
    "Page",
    "Query",
    "Recorder",
    "Redaction",
    "Summary",
    "WebhookFacts",
    "parse_query",
    "parse_redactions",
]
