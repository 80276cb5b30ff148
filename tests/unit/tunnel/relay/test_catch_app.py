"""What the relay's catch mode makes of an agent's answers, with a link that is none."""

import asyncio
from types import SimpleNamespace

from hookloop.clock import SystemClock
from hookloop.exchange import RequestHead, ResponseHead
from hookloop.ledger.memory import MemoryStore
from hookloop.tunnel.catch.box import Answered, Broken, CatchBox, Down
from hookloop.tunnel.catch.rules import CatchRules
from hookloop.tunnel.relay import catch_app
from hookloop.tunnel.relay.catch_app import TunnelApp
from hookloop.tunnel.relay.catch_link import CatchLink
from hookloop.tunnel.room import Room
from hookloop.tunnel.wire.messages import Request, ResetCode

REQUEST = Request("shop", "203.0.113.9:1", RequestHead(b"POST", b"/hook", ()))
STREAM = 5


class Link:
    """Takes a request, and lets the test answer it."""

    def __init__(self, answer=None, *, is_full=False) -> None:
        self._answer = answer or (lambda caller: None)
        self._is_full = is_full
        self.sent: list = []
        self.credit = 0

    def open_stream(self, request, body, caller, *, is_ended, digest=b"") -> int | None:
        self.sent.append(is_ended)
        asyncio.get_running_loop().call_soon(self._answer, caller)
        return None if self._is_full else STREAM

    def send_data(self, stream, data) -> bool:
        self.sent.append(data)
        return True

    def end_stream(self, stream, *, digest) -> None:
        self.sent.append(len(digest))

    def cancel(self, stream, message) -> None:
        self.sent.append("cancelled")

    def consumed(self, stream, length) -> None:
        self.credit += length


def sent(link, body=b"body"):
    async def main():
        app = TunnelApp(lambda: link)
        assert await app.is_up() is (link is not None)
        return await app.send(REQUEST, body)

    return asyncio.run(main())


def head(status) -> ResponseHead:
    return ResponseHead(status, b"", ())


def test_an_answer_in_pieces_is_read_to_its_end():
    """Interim heads are none; what comes is paid for, and its beginning is kept."""

    def answer(caller):
        caller.response_head(head(103), b"", is_ended=False, digest=b"")
        caller.response_head(head(200), b"do", is_ended=False, digest=b"")
        caller.response_data(b"ne" + b"x" * 500, is_ended=False, digest=b"")
        caller.may_send_again()
        caller.response_trailers(())

    link = Link(answer)

    assert sent(link) == Answered(200, "done" + "x" * 196)
    assert link.sent == [False, b"body", 32, "cancelled"]
    assert link.credit == 504


def test_a_request_without_a_body_ends_with_its_head():
    """And an answer that is complete at once is one."""
    link = Link(lambda caller: caller.response_head(head(204), b"", is_ended=True, digest=b""))

    assert sent(link, b"") == Answered(204, "")
    assert link.sent == [True, "cancelled"]


def test_nobody_there_is_down():
    """The request was not sent at all."""
    assert sent(None) == Down("no agent is there")


def test_a_full_agent_is_asked_again():
    """It is there, so its port says nothing; the wait between two tries has to."""
    assert isinstance(sent(Link(is_full=True)), Broken)


def test_a_reset_is_no_answer_and_after_a_head_it_is_one():
    """What the app thinks of the request is in the status, whatever became of the rest."""

    def cut(caller):
        caller.response_head(head(200), b"ha", is_ended=False, digest=b"")
        caller.stream_reset(ResetCode.UPSTREAM_BROKEN, "cut")

    assert sent(Link(lambda c: c.stream_reset(ResetCode.UPSTREAM_REFUSED, "why"))) == Broken("why")
    assert sent(Link(lambda c: c.stream_reset(ResetCode.INTERNAL, ""))) == Broken("internal")
    assert sent(Link(cut)) == Answered(200, "ha")


def test_an_agent_that_says_nothing_is_given_up_in_time(monkeypatch):
    """One that has lost the stream does not hold up the line for ever."""
    monkeypatch.setattr(catch_app, "ANSWER_SECONDS_MAX", 0.01)

    assert isinstance(sent(Link()), Broken)


# --- where callers go whose agent is away ----------------------------------------------------


class Caller:
    def __init__(self) -> None:
        self.statuses: list[int] = []

    def response_head(self, head, body, *, is_ended, digest) -> None:
        assert (body, is_ended) == (b"", True)
        self.statuses.append(head.status)


def on_a_link(test):
    """Run *test* with a catch link of little room, its caller, and the box's bodies."""

    def run():
        async def main():
            store = MemoryStore()
            rules = CatchRules(body_bytes_max=100)
            box = CatchBox(
                store,
                "shop",
                TunnelApp(lambda: None),
                rules,
                clock=SystemClock(),
                is_known_empty=True,
            )
            running = asyncio.ensure_future(box.run())
            await asyncio.sleep(0)
            case = SimpleNamespace(room=Room(150), is_full=False, caller=Caller(), box=box)
            case.link = CatchLink(box, case.room, lambda: case.is_full)
            case.open = lambda body, is_ended: case.link.open_stream(
                REQUEST, body, case.caller, is_ended=is_ended
            )
            await test(case)
            running.cancel()
            await asyncio.wait([running])

        asyncio.run(main())

    return run


async def answered(case, count=1) -> None:
    while len(case.caller.statuses) < count:  # noqa: ASYNC110  # a few turns of the loop
        await asyncio.sleep(0)


@on_a_link
async def test_a_body_in_pieces_is_kept_whole(case):
    """And its room is free once it is on the disk."""
    stream = case.open(b"a", False)
    assert case.link.send_data(stream, b"b")
    case.link.end_stream(stream)
    await answered(case)

    assert case.caller.statuses == [202]
    assert (case.box.statistics().waiting, case.room.left) == (1, 150)


@on_a_link
async def test_what_is_too_large_or_finds_no_room_is_told_to_come_again(case):
    """Each by its own limit; what has been taken is given back."""
    case.open(b"x" * 101, True)
    assert case.caller.statuses == [503]
    waiting = case.open(b"x" * 90, False)
    case.open(b"x" * 90, True)
    assert case.caller.statuses == [503, 503]
    case.link.cancel(waiting, "the caller is gone")
    case.link.consumed(waiting, 1)
    case.link.end_stream(waiting)
    case.is_full = True
    case.open(b"x", True)

    assert case.caller.statuses == [503, 503, 503]
    assert (case.box.statistics().caught, case.room.left) == (0, 150)


@on_a_link
async def test_who_wants_another_protocol_is_not_kept(case):
    """Nobody waits an hour for a WebSocket."""
    assert case.link.open_upgrade(REQUEST, case.caller) is None
    assert case.caller.statuses == []
