"""A name server for tests: every name is this machine, and TXT records are those of a file."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

A, TXT = 1, 16


class FakeDns:
    """Answers over UDP until closed. The file holds ``{name: [value, ...]}``, by the hook."""

    def __init__(self, records: Path) -> None:
        self.records = records
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def txt(self, name: str) -> list[str]:
        if not self.records.exists():
            return []
        return json.loads(self.records.read_text()).get(name.lower(), [])

    def close(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, caller = self._socket.recvfrom(4096)
            if not query:
                return
            self._socket.sendto(self._answer(query), caller)

    def _answer(self, query: bytes) -> bytes:
        at, labels = 12, []
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += 1 + length
        question = query[12 : at + 5]
        kind = struct.unpack_from("!H", query, at + 1)[0]
        found = []
        if kind == A:
            found = [socket.inet_aton("127.0.0.1")]
        elif kind == TXT:
            texts = [value.encode() for value in self.txt(".".join(labels))]
            found = [bytes([len(text)]) + text for text in texts]
        head = query[:2] + struct.pack("!HHHHH", 0x8580, 1, len(found), 0, 0)
        answers = [
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(data)) + data for data in found
        ]
        return head + question + b"".join(answers)


@contextmanager
def running_dns(records: Path) -> Iterator[FakeDns]:
    dns = FakeDns(records)
    try:
        yield dns
    finally:
        dns.close()
