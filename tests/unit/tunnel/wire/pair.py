"""Two sessions joined in memory: what one sends is what the other receives."""

from dataclasses import replace

from hookloop.exchange import RequestHead, ResponseHead
from hookloop.tunnel.wire.events import Event
from hookloop.tunnel.wire.frames import Frame, FrameDecoder
from hookloop.tunnel.wire.messages import Hello, Request
from hookloop.tunnel.wire.session import Role, Session, SessionStatistics

KIB = 1024

HELLO = Hello("side", "test/1", stream_credit=64 * KIB, session_credit=128 * KIB, streams_max=8)
RELAY_HELLO = replace(HELLO, id="relay")
AGENT_HELLO = replace(HELLO, id="agent")

HEAD = RequestHead(b"POST", b"/hook?a=1", ((b"Host", b"shop.tun.example"),))
REQUEST = Request("shop", "192.0.2.7:50000", HEAD)
OK = ResponseHead(200, b"OK", ((b"Content-Type", b"text/plain"),))
CONTINUE = ResponseHead(100, b"Continue", ())


class Pair:
    """
    A relay's session and an agent's, both greeted unless told otherwise.

    `at_agent` and `at_relay` carry all that is waiting and return what it told.
    """

    def __init__(
        self, *, relay: Hello = RELAY_HELLO, agent: Hello = AGENT_HELLO, greeted: bool = True
    ) -> None:
        self.now = 1000.0
        self.relay = Session(Role.RELAY, relay, self.now)
        self.agent = Session(Role.AGENT, agent, self.now)
        if greeted:
            self.at_agent()
            self.at_relay()

    def at_agent(self) -> list[Event]:
        return self._carry(self.relay, self.agent)

    def at_relay(self) -> list[Event]:
        return self._carry(self.agent, self.relay)

    def open(self, *, is_ended: bool = False) -> int:
        """Open a stream and let the agent have its head."""
        stream = self.relay.open_stream(REQUEST, is_ended=is_ended)
        self.at_agent()
        return stream

    def _carry(self, source: Session, target: Session) -> list[Event]:
        events = []
        while buffers := source.data_to_send():
            events += target.receive_data(b"".join(buffers), self.now)
        return events


def frames_of(session: Session, most: int = 64 * KIB) -> list[Frame]:
    """Take one flush of *session* and cut it into frames."""
    return FrameDecoder().receive_data(b"".join(session.data_to_send(most)))


def is_clean(statistics: SessionStatistics) -> bool:
    """Say whether nothing is left open or waiting."""
    left = (statistics.streams_open, statistics.bytes_queued, statistics.control_bytes_queued)
    return left == (0, 0, 0)
