"""
What Stripe's own command line listens to: ``stripe listen`` and ``stripe logs tail``.

The command line opens a session by the API and a WebSocket by what that answers. We send it each
event, signed with the session's secret, and each request's log line; it posts the events to
the local application by itself, and tells us what came of that.
Protocol: https://github.com/stripe/stripe-cli (pkg/websocket, pkg/proxy), as of 1.52.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from hookloop.ids import ALPHABET, new_id
from hookloop.shapes.sample import SampleRandom

from .authentication import AccountKey
from .delivery import Attempt, Delivery, DeliveryState, delivery_headers, delivery_payload
from .errors import invalid_parameter
from .store import Json

__all__ = [
    "FEATURES",
    "FRAMES_WAITING_MAX",
    "SESSIONS_MAX",
    "CliSession",
    "CliSessions",
    "Listener",
    "Pending",
]

SESSIONS_MAX = 100
"""Open at once; each is a program that somebody runs. Beyond it the oldest ends."""

FRAMES_WAITING_MAX = 1000
"""For one that does not read; the command line takes thousands a second. Then it is cut off, and
comes again."""

CONVERSATIONS_MAX = 1000
"""Events sent and not answered yet. Of older ones nothing more is recorded."""

RECONNECT_SECONDS = 24 * 3600
"""Until the command line makes a new session by itself. Zero would be a minute."""

FEATURES = ("webhooks", "v2_events", "request_logs")

BODY_CHARS_MAX = 500


class Listener(Protocol):
    """Where the frames of a session go. `send` returns at once, and never raises."""

    def send(self, frame: str) -> None: ...


@dataclass(slots=True)
class CliSession:
    """One ``stripe listen``, or one ``stripe logs tail``."""

    id: str
    """``cliws_...``: what the WebSocket names it by."""
    account: AccountKey
    secret: str
    features: tuple[str, ...]
    filters: Mapping[str, Any]
    """Of ``logs tail``: which requests it wants to see."""
    listener: Listener | None = None
    """None until its WebSocket is there."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that the command line was sent, and has not told the outcome of."""

    session: CliSession
    event_id: str
    sent: float
    """Unix seconds."""


class CliSessions:
    """All sessions of a sandbox. Pure but for `random` and the listeners."""

    def __init__(self, random: SampleRandom, api_version: str) -> None:
        self._random = random
        self._api_version = api_version
        self._sessions: OrderedDict[str, CliSession] = OrderedDict()
        self._conversations: OrderedDict[str, Pending] = OrderedDict()

    def open(self, account: AccountKey, form: Mapping[str, list[str]], base_url: str) -> Json:
        """Make a session as *form* asks, and return what the command line is answered."""
        asked = [*form.get("websocket_features[]", ()), *form.get("websocket_feature", ())]
        features = tuple(one for one in asked if one in FEATURES)
        if not features:
            raise invalid_parameter(
                f"Invalid websocket_features: name one of {', '.join(FEATURES)}.",
                "websocket_features",
            )
        session = CliSession(
            new_id("cliws_", self._random, length=24),
            account,
            _secret(account, "".join(form.get("device_name", ()))),
            features,
            _filters("".join(form.get("filters", ()))),
        )
        self._sessions[session.id] = session
        while len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        address = base_url.replace("http", "ws", 1)
        return {
            "default_version": self._api_version,
            "display_connect_filter_warning": False,
            "latest_version": self._api_version,
            "reconnect_delay": RECONNECT_SECONDS,
            "secret": session.secret,
            "websocket_authorized_feature": features[0],
            "websocket_id": session.id,
            "websocket_url": f"{address}/subscribe/{account.account_id}",
        }

    def session(self, id_: str) -> CliSession | None:
        return self._sessions.get(id_)

    def event_happened(self, account: AccountKey, event: Json, *, now: float) -> None:
        """Send *event* to all who listen to the account; *now* is what signatures go by."""
        for session in self._listening(account, "webhooks"):
            payload = delivery_payload(event, api_version=self._api_version, pending=1)
            headers = delivery_headers(payload, [session.secret], signed_at=int(now))
            # It takes the one without a version, and with --latest the other one; each drops one.
            for version in (None, self._api_version):
                conversation = new_id("wc_", self._random, length=24)
                self._conversations[conversation] = Pending(session, event["id"], now)
                frame = {
                    "type": "webhook_event",
                    "endpoint": {"api_version": version},
                    "event_payload": payload.decode(),
                    "http_headers": headers,
                    "webhook_conversation_id": conversation,
                    "webhook_id": new_id("wh_", self._random, length=24),
                }
                _send(session, frame)
        while len(self._conversations) > CONVERSATIONS_MAX:
            self._conversations.popitem(last=False)

    def is_tailed(self, account: AccountKey) -> bool:
        """Say whether anybody wants to be told of the account's requests."""
        return bool(self._listening(account, "request_logs"))

    def request_answered(self, account: AccountKey, request: Json) -> None:
        """Tell those who tail the account's log of *request*, if they want to know of it."""
        for session in self._listening(account, "request_logs"):
            if _is_wanted(request, session.filters):
                frame = {
                    "type": "request_log_event",
                    "request_log_id": new_id("resp_", self._random, length=24),
                    "event_payload": json.dumps(request),
                }
                _send(session, frame)

    def told(self, text: str, *, now: float) -> tuple[Pending, Delivery] | None:
        """
        Return what a frame of the command line says of an event's delivery, if it does.

        Frames that are none of the protocol's are passed over: they come from outside.
        """
        try:
            frame = json.loads(text)
            if frame["type"] != "webhook_response":
                return None
            pending = self._conversations.pop(frame["webhook_conversation_id"], None)
            status, url, body = int(frame["status"]), str(frame["forward_url"]), frame["body"]
        except (ValueError, KeyError, TypeError):
            return None
        if pending is None:
            return None
        is_delivered = 200 <= status <= 299
        excerpt = str(body)[:BODY_CHARS_MAX]
        attempt = Attempt(
            1, pending.sent, max(0.0, now - pending.sent), status, None, excerpt, None
        )
        state = DeliveryState.DELIVERED if is_delivered else DeliveryState.FAILED
        delivery = Delivery(pending.event_id, pending.session.id, state, (attempt,), url=url)
        return pending, delivery

    def _listening(self, account: AccountKey, feature: str) -> list[CliSession]:
        return [
            session
            for session in self._sessions.values()
            if session.account == account
            and session.listener is not None
            and feature in session.features
        ]


def _send(session: CliSession, frame: Json) -> None:
    if session.listener is not None:
        session.listener.send(json.dumps(frame))


def _secret(account: AccountKey, device: str) -> str:
    """Return the secret of a device, the same each time: it is pasted into a settings file."""
    digest = sha256(account.digest + device.encode()).digest()
    return "whsec_" + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest)


def _filters(text: str) -> Mapping[str, Any]:
    try:
        filters = json.loads(text or "{}")
    except ValueError:
        filters = None
    if not isinstance(filters, dict):
        raise invalid_parameter("Invalid filters: they must be a JSON object.", "filters")
    return filters


def _is_wanted(request: Json, filters: Mapping[str, Any]) -> bool:
    """Say whether *request* fits all of *filters*; an empty one takes everything."""
    status = str(request["status"])
    values = {
        "filter_http_method": request["method"],
        "filter_request_path": request["url"],
        "filter_request_status": "SUCCEEDED" if status < "400" else "FAILED",
        "filter_status_code": status,
        "filter_status_code_type": f"{status[0]}00",
    }
    return all(
        value in [str(one) for one in filters[name]]
        for name, value in values.items()
        if isinstance(filters.get(name), list) and filters[name]
    )
