"""What is collected in a loop turn, and how it leaves."""

import asyncio

from hookloop.tunnel.turn_writer import TurnWriter


class Lines:
    """A transport that keeps what it is given."""

    def __init__(self):
        self.calls = []

    def is_closing(self):
        return False

    def write(self, data):
        self.calls.append(data)


def written(*writes):
    async def main():
        writer = TurnWriter()
        writer.transport = Lines()
        for buffers in writes:
            writer.write(*buffers)
        await asyncio.sleep(0)
        return writer.transport.calls

    return asyncio.run(main())


def test_all_of_a_turn_is_one_write():
    """A head and its body leave in one packet."""
    assert written([b"head"], [b"body", b"end"]) == [b"headbodyend"]


def test_what_ends_a_message_does_not_wait_for_the_turn_to_end():
    """It leaves at once, behind what was collected, and once only."""

    async def main():
        writer = TurnWriter()
        writer.transport = Lines()
        writer.write(b"head")
        writer.write_now([b"body", b"end"])
        at_once = list(writer.transport.calls)
        await asyncio.sleep(0)
        return at_once, writer.transport.calls

    at_once, calls = asyncio.run(main())

    assert at_once == calls == [b"headbodyend"]


def test_nothing_is_never_written():
    """An empty write would be a call for nothing."""
    assert written([b"head", b""], [b""]) == [b"head"]
    assert written([b""]) == []
