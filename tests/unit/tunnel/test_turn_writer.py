"""What is collected in a loop turn, and how it leaves."""

import asyncio

from hookloop.tunnel.turn_writer import TurnWriter


class Lines:
    """A transport that keeps what it is given."""

    def __init__(self):
        self.calls = []

    def is_closing(self):
        return False

    def writelines(self, buffers):
        self.calls.append(list(buffers))


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
    assert written([b"head"], [b"body", b"end"]) == [[b"head", b"body", b"end"]]


def test_empty_pieces_are_never_written():
    """From Python 3.12 on, asyncio sends one that comes last for ever, and never closes."""
    assert written([b"head", b""], [b""]) == [[b"head"]]
    assert written([b""]) == []
