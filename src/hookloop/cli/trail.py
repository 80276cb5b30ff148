"""The trail of one delivery through the loop: who saw it, when, and who failed it. Pure."""

from dataclasses import dataclass, field

from hookloop.exchange import Exchange, ResponseHead

__all__ = ["Failure", "Hop", "Trail"]


@dataclass(frozen=True, slots=True)
class Hop:
    """One line of the story."""

    at: float
    """Monotonic seconds."""
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The hop that let the event down, and how."""

    who: str
    why: str


@dataclass(slots=True)
class Trail:
    """What each hop reported of one attempt."""

    event_id: str
    event_type: str
    url: str
    started: float
    """When the sandbox began the attempt, in monotonic seconds; all times count from here."""
    ended: float | None = None
    status: int | None = None
    error: str | None = None
    relay: Exchange | None = None
    agent: Exchange | None = None
    handled: list[tuple[float, str]] = field(default_factory=list)
    """What the handler printed, and when it was read."""

    def hops(self) -> list[Hop]:
        """Return the story in the order of time."""
        hops = [Hop(self.started, "sandbox", f"{self.event_type} signed, POST {self.url}")]
        if self.relay:
            hops.append(Hop(self.relay.started, "relay", f"{_request(self.relay)}, to the agent"))
        if self.agent:
            hops.append(Hop(self.agent.started, "agent", f"{_request(self.agent)}, to the app"))
            hops += _answer(self.agent, "agent", "from the app")
        hops += [Hop(at, "handler", text) for at, text in self.handled]
        if self.relay:
            hops += _answer(self.relay, "relay", "from the agent")
        if self.ended is not None:
            outcome = str(self.status) if self.status is not None else self.error or "no answer"
            hops.append(Hop(self.ended, "sandbox", f"attempt over: {outcome}"))
        return sorted(hops, key=lambda hop: hop.at)

    def failure(self) -> Failure | None:
        """Return the first hop, in the direction of travel, that did not do its part."""
        if self.relay is None:
            return Failure("relay", f"the request never got there: {self.error or 'no answer'}")
        if self.agent is None:
            return Failure("agent", f"the relay could not hand it over: {_why(self.relay)}")
        if self.agent.response is None:
            return Failure("app", _why(self.agent))
        if self.status is None or not 200 <= self.status < 300:
            return Failure("handler", f"the app answered {self.status or self.error}")
        if not self.handled:
            return Failure("handler", "the app answered 2xx, and no handler printed the event's id")
        return None


def _request(exchange: Exchange) -> str:
    request = exchange.request
    return f"{request.method.decode()} {request.target.decode()}"


def _answer(exchange: Exchange, who: str, source: str) -> list[Hop]:
    if exchange.response is None or exchange.responded is None:
        return [Hop(exchange.ended, who, _why(exchange))]
    return [Hop(exchange.responded, who, f"{_status(exchange.response)} {source}")]


def _status(head: ResponseHead) -> str:
    return f"{head.status} {head.reason.decode('latin-1')}".strip()


def _why(exchange: Exchange) -> str:
    if exchange.failure:
        return exchange.failure
    return _status(exchange.response) if exchange.response else "no answer"
