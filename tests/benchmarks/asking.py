"""The leanest client there is, so that the servers are measured and not those who ask."""

import http.client
import io
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import soundfile

BOUNDARY = uuid.uuid4().hex
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(clips: Sequence[tuple[np.ndarray, str]]) -> bytes:
    """Clips as a multipart form: a file `audio` (WAV, 16 bit) and a field `text` for each."""
    parts = []
    for sound, text in clips:
        file = io.BytesIO()
        samples = np.round(sound * 32_768).astype(np.int16)
        soundfile.write(file, samples, 16_000, format="WAV", subtype="PCM_16")
        head = 'Content-Disposition: form-data; name="audio"; filename="a.wav"\r\n'
        parts.append(f"--{BOUNDARY}\r\n{head}\r\n".encode() + file.getvalue() + b"\r\n")
        head = 'Content-Disposition: form-data; name="text"\r\n'
        parts.append(f"--{BOUNDARY}\r\n{head}\r\n{text}\r\n".encode())
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


class Asker:
    """One client with one connection."""

    def __init__(self, url: str, path: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=120)
        self._path = path

    def ask(self, body: bytes) -> bytes:
        """The answer to a form; it must be a good one."""
        self._connection.request("POST", self._path, body, HEADERS)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, (answer.status, content[:300])
        return content


@dataclass(frozen=True)
class Load:
    """What some clients came to who asked without pause.

    Attributes:
        rate: requests answered in a second.
        answers: each with the number of its form.
    """

    rate: float
    answers: list[tuple[int, bytes]]


def load(url: str, path: str, bodies: Sequence[bytes], *, clients: int, seconds: float) -> Load:
    """Have `clients` ask without pause, each a form after the other."""
    answers: list[tuple[int, bytes]] = []
    stop = threading.Event()

    def ask(number: int) -> None:
        asker = Asker(url, path)
        while not stop.is_set():
            number = (number + 1) % len(bodies)
            answers.append((number, asker.ask(bodies[number])))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return Load(len(answers) / (time.perf_counter() - began), answers)
