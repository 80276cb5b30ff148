"""
The handler library: receive a webhook, verify it, run the handlers of its event.

Read `hooks` first: it is the door. `receive` judges a request and `router` finds
its handlers, both pure; `event` is what handlers are given. Each face is a module
of its own (`asgi`, `fastapi`), imported only when it is asked for.
"""

from .event import Event
from .hooks import Hooks, Result

__all__ = ["Event", "Hooks", "Result"]
