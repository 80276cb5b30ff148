"""
The handler library: receive a webhook, verify it, run the handlers of its event.

Read `hooks` first: it is the door, and `receiver` the path a request takes. `receive`
judges a request, `router` finds its handlers and `attempts` runs them; `event` is what
they are given, `outcomes` what they may answer. Each face is a module of its own
(`asgi`, `wsgi`, `django`, `flask`, `fastapi`, `aws_lambda`), imported only when it is
asked for.
"""

from .event import Event, Related
from .handlers import Handlers
from .hooks import Hooks
from .incoming import Incoming
from .observer import Answered, Observer
from .outcomes import Drop, Reject, Reply, Retry
from .provider_hooks import ProviderHooks
from .result import Result

__all__ = [
    "Answered",
    "Drop",
    "Event",
    "Handlers",
    "Hooks",
    "Incoming",
    "Observer",
    "ProviderHooks",
    "Reject",
    "Related",
    "Reply",
    "Result",
    "Retry",
]
