"""A load test of a running service: `python -m tests.load` (`make load`).

So many clients ask `/v1/classify` without pause, each with one clip of one to six seconds; then
more of them. Prints a table, and writes it as `load.md` and `load.json`.
"""

# Locust first: it makes the standard library's sockets cooperative, for whoever imports them later.
from locust import HttpUser, constant, task  # isort: skip
from locust.env import Environment  # isort: skip

import argparse
import io
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import gevent
import numpy as np
import soundfile

WORDS = ("hello", "I do not know what to tell you", "we won, we really won!", "")
SECONDS = (1.0, 2.0, 3.5, 6.0)


@dataclass(frozen=True)
class Row:
    """What a number of clients came to.

    Attributes:
        clients: at the same time.
        requests: answered well.
        throughput: of these, in a second.
        p50: the median of their times, in milliseconds; `p95`, `p99` likewise.
        refused: answered 429, as they should be when it is full.
        errors: everything else.
    """

    clients: int
    requests: int
    throughput: float
    p50: float
    p95: float
    p99: float
    refused: int
    errors: int


def clip(seconds: float, seed: int) -> bytes:
    """Noise as a WAV file, mono 16 kHz, 16 bit."""
    file = io.BytesIO()
    sound = np.random.default_rng(seed).normal(size=round(seconds * 16_000)) * 0.1
    soundfile.write(file, sound, 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


CLIPS = [clip(seconds, seed) for seed, seconds in enumerate(SECONDS)]


class Client(HttpUser):
    """Somebody who asks again as soon as there is an answer."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Begin at a place of its own among the clips."""
        self._turn = id(self) // 16

    @task
    def classify(self) -> None:
        """One clip."""
        self._turn += 1
        number = self._turn % len(CLIPS)
        files = {"audio": ("clip.wav", CLIPS[number])}
        with self.client.post(
            "/v1/classify", files=files, data={"text": WORDS[number]}, catch_response=True
        ) as answer:
            if answer.status_code != 200:
                answer.failure(str(answer.status_code))


def measure(url: str, clients: int, seconds: float) -> Row:
    """Have so many clients ask for so long."""
    environment = Environment(user_classes=[Client], host=url)
    runner = environment.create_local_runner()
    runner.start(clients, spawn_rate=clients)
    gevent.sleep(seconds / 5)
    environment.stats.reset_all()  # the first requests find cold caches
    gevent.sleep(seconds)
    runner.quit()
    total = environment.stats.total
    refused = sum(e.occurrences for e in environment.stats.errors.values() if "429" in str(e.error))
    answered = total.num_requests - total.num_failures

    def percentile(share: float) -> float:
        return float(total.get_response_time_percentile(share) or 0)

    return Row(
        clients,
        answered,
        round(answered / seconds, 1),
        percentile(0.5),
        percentile(0.95),
        percentile(0.99),
        refused,
        total.num_failures - refused,
    )


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    names = ["clients", "requests", "requests/s", "p50 ms", "p95 ms", "p99 ms", "429", "errors"]
    lines = [names, ["---:"] * len(names)]
    lines += [[f"{value:g}" for value in asdict(row).values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: exit status 0, 1 if there were errors, 2 if nobody answers."""
    parser = argparse.ArgumentParser(prog="tests.load", description="Load a running service.")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--clients", default="1,4,16,64", help="how many at the same time, in turn")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each number of clients")
    parser.add_argument("--out", type=Path, default=Path(".moodline/load"))
    chosen = parser.parse_args(arguments)
    try:
        with urllib.request.urlopen(f"{chosen.url}/readyz", timeout=10):
            pass
    except (urllib.error.URLError, OSError) as error:
        print(f"{chosen.url} is not ready ({error}); start it with make serve", file=sys.stderr)
        return 2
    rows = [measure(chosen.url, int(n), chosen.seconds) for n in chosen.clients.split(",")]
    print(table(rows))
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "load.md").write_text(table(rows) + "\n", encoding="utf-8")
    entries = [asdict(row) for row in rows]
    (chosen.out / "load.json").write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    return int(any(row.errors for row in rows))


if __name__ == "__main__":
    sys.exit(main())
