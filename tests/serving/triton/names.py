"""A name server for one name that nobody has at first."""

import socket
import threading
from typing import Self


class NameServer:
    """Answers on loopback, over UDP; as a context manager.

    Attributes:
        known: whether the name stands for 127.0.0.1 by now; until then there is no such name.
        asked: how often it was asked for.
    """

    def __init__(self) -> None:
        self.known = False
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def url(self, port: int) -> str:
        """For gRPC: a port of whoever has the name."""
        return f"dns://127.0.0.1:{self._socket.getsockname()[1]}/triton.test:{port}"

    def _answer(self) -> None:
        while True:
            query, sender = self._socket.recvfrom(512)
            if not query:
                return
            self.asked += 1
            question = query[12 : query.index(b"\0", 12) + 5]
            address = self.known and question[-4:-2] == b"\0\1"  # an A record was asked for
            record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1" if address else b""
            flags = b"\x81\x80" if self.known else b"\x81\x83"
            counts = b"\0\1" + (b"\0\1" if address else b"\0\0") + b"\0\0\0\0"
            self._socket.sendto(query[:2] + flags + counts + question + record, sender)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()
