"""A sender of a live call, with the `websockets` package as anybody would use it."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

FRAME = 1600
"""Samples of one frame: a tenth of a second."""


def pcm(audio: np.ndarray) -> bytes:
    """float32 [samples] as 16-bit little-endian."""
    return (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()


@contextmanager
def line(url: str, **start: Any) -> Iterator[ClientConnection]:
    """A connection that has sent its first frame."""
    address = url.replace("http", "ws", 1) + "/v1/live"
    with connect(address, proxy=None, max_size=None) as socket:
        socket.send(json.dumps({"type": "start", **start}))
        yield socket


def next_event(socket: ClientConnection, seconds: float = 60) -> dict[str, Any]:
    """The next one that is told."""
    event: dict[str, Any] = json.loads(socket.recv(timeout=seconds))
    return event


@dataclass
class Talk:
    """What a call was told, with the seconds from its first frame, and how it was closed."""

    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    code: int = 0

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind."""
        return [event for _, event in self.events if event["type"] == kind]

    def turns(self) -> list[dict[str, Any]]:
        """The turns, each as it was told last."""
        return [
            turn for _, turn in sorted({e["number"]: e["turn"] for e in self.of("turn")}.items())
        ]


def talk(url: str, audio: np.ndarray, *, speed: float | None = None, **start: Any) -> Talk:
    """Send a recording as a call, and listen to what is told until the connection ends.

    Args:
        audio: float32 [samples], mono at 16 kHz.
        speed: 1.0: as it is spoken; None: as fast as it is taken.
        start: of the first frame.
    """
    told, sound = Talk(), pcm(audio)
    with line(url, **start) as socket:
        ready = next_event(socket)
        began = time.monotonic()
        told.events.append((0.0, ready))
        if ready["type"] == "ready":
            sender = threading.Thread(target=_send, args=(socket, sound, began, speed), daemon=True)
            sender.start()
        try:
            while True:
                event = next_event(socket, 120)
                told.events.append((time.monotonic() - began, event))
        except ConnectionClosed as closed:
            told.code = closed.rcvd.code if closed.rcvd else 1006
    return told


def _send(socket: ClientConnection, sound: bytes, began: float, speed: float | None) -> None:
    size = 2 * FRAME
    for number, first in enumerate(range(0, len(sound), size)):
        if speed:
            time.sleep(max(0.0, began + (number + 1) * FRAME / 16_000 / speed - time.monotonic()))
        socket.send(sound[first : first + size])
    socket.send(json.dumps({"type": "end"}))
