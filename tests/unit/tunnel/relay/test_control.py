"""The line between supervisor and worker."""

import asyncio
import socket

from hookloop.tunnel.relay.control import Channel


def test_messages_come_whole_and_in_order_and_the_end_is_told():
    """However the bytes are cut on their way."""

    async def main():
        ours, theirs = socket.socketpair()
        received, lost = [], asyncio.Event()
        channel = await Channel.over(theirs, received.append, lost.set)
        for byte in b'{"op": "one"}\n{"op": "two", "text": "\\u00e9"}\n{"op"':
            channel.data_received(bytes([byte]))
        channel.data_received(b': "three"}\n')
        channel.send({"op": "answer"})
        ours.setblocking(False)
        answer = await asyncio.get_running_loop().sock_recv(ours, 100)
        ours.close()
        await lost.wait()
        channel.send({"op": "in vain"})
        return received, answer

    received, answer = asyncio.run(main())

    assert received == [{"op": "one"}, {"op": "two", "text": "é"}, {"op": "three"}]
    assert answer == b'{"op": "answer"}\n'
