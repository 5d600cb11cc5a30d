"""Services that a pod reaches by name, and no other network.

A pod of the bench has a network of its own, on which nobody listens. This file runs on both sides
of a Unix socket: outside, `Service` leads a socket to a server's port; inside, the program gives
each service its address and starts the step.

usage, inside: forward.py NAME=ADDRESS:PORT=SOCKET … -- COMMAND…
"""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_CHUNK = 1 << 16


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _join(one: socket.socket, connect: Callable[[], socket.socket]) -> None:
    """Carry bytes both ways until both sides have ended."""
    with one:
        try:
            other = connect()
        except OSError:
            return
        with other:
            back = threading.Thread(target=_copy, args=(other, one), daemon=True)
            back.start()
            _copy(one, other)
            back.join()


def forward(listener: socket.socket, connect: Callable[[], socket.socket]) -> None:
    """Serve a listening socket in a thread: each connection is joined to one of `connect`'s."""

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = listener.accept()
                threading.Thread(target=_join, args=(one, connect), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


class Service:
    """A server on loopback that pods reach under a name; it can be taken away.

    Attributes:
        name: of the host, as the pods' settings have it: "mlflow.moodline".
        port: likewise.
        server: where it really listens: a port of a host, or a Unix socket.
        up: False: nobody reaches it.
        socket: where the name's traffic arrives outside the pods.
    """

    def __init__(self, name: str, port: int, server: tuple[str, int] | Path, folder: Path) -> None:
        self.name, self.port, self.server = name, port, server
        self.socket = folder / f"{name}-{port}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self.socket.chmod(0o666)
        self._listener.listen(64)
        self.up = True
        forward(self._listener, self._connect)

    def _connect(self) -> socket.socket:
        if not self.up:
            raise ConnectionRefusedError
        if isinstance(self.server, Path):
            other = socket.socket(socket.AF_UNIX)
            other.connect(str(self.server))
            return other
        return socket.create_connection(self.server)

    def close(self) -> None:
        """No pod reaches it any more."""
        self._listener.close()


def _inside(arguments: list[str]) -> int:
    """Give each service its address on this pod's loopback, and run the command."""
    split = arguments.index("--")
    for service in arguments[:split]:
        _, address, path = service.split("=")
        host, port = address.split(":")
        listener = socket.create_server((host, int(port)), backlog=64)

        def connect(path: str = path) -> socket.socket:
            outside = socket.socket(socket.AF_UNIX)
            outside.connect(path)
            return outside

        forward(listener, connect)
    return subprocess.call(arguments[split + 1 :])


if __name__ == "__main__":
    sys.exit(_inside(sys.argv[1:]))
