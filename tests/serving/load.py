"""Requests that keep coming while something happens to the servers, and what became of them."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from components.base import MoodlineError
from components.config import Settings
from components.fusion import Clip, load_tokenizer
from serving.engine.classified import Classified
from serving.engine.classifier import ServedClassifier
from serving.settings import ServeSettings, TrafficSettings

Alone = Callable[..., tuple[np.ndarray, np.ndarray]]


@dataclass
class Seen:
    """What the requests came to.

    Attributes:
        answered: right answers by the version that gave them.
        wrong: answers that are not the named version's.
        failed: errors by their HTTP status.
    """

    answered: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    failed: Counter[int] = field(default_factory=Counter)


class Load:
    """Asks without pause from a thread of its own, as a context manager.

    Args:
        url: Triton's address.
        pointer: of the served versions.
        folders: the model folders by version, to know the right answers.
        alone: gives one clip's answer by a folder.
        clients: that ask at the same time.
        traffic: shares, as the service has them.
    """

    def __init__(
        self,
        url: str,
        pointer: Path,
        folders: dict[int, Path],
        alone: Alone,
        *,
        clients: int = 4,
        traffic: TrafficSettings | None = None,
    ) -> None:
        self.seen = Seen()
        self._url, self._pointer, self._clients = url, pointer, clients
        self._traffic = traffic or TrafficSettings()
        dice = np.random.default_rng(5)
        sounds = [dice.normal(size=size).astype("f4") for size in (4_000, 9_000, 16_000, 30_000)]
        self._clips: list[Clip] = list(zip(sounds, ("hello", "a yes", "", "yes"), strict=True))
        self._folders, self._alone = folders, alone
        self._known: dict[tuple[int, int], np.ndarray] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        serve = ServeSettings(pointer=self._pointer)
        classifier = ServedClassifier(Settings(triton_url=self._url), serve, self._traffic)
        try:
            await asyncio.gather(*(self._ask(classifier, i) for i in range(self._clients)))
        finally:
            await classifier.close()

    async def _ask(self, classifier: ServedClassifier, number: int) -> None:
        dice = np.random.default_rng(number)
        while not self._ended.is_set():
            chosen = [int(i) for i in dice.integers(0, len(self._clips), size=2)]
            try:
                answer = await classifier.classify([self._clips[i] for i in chosen])
            except MoodlineError as error:
                self.seen.failed[error.http_status] += 1
                await asyncio.sleep(0.02)
                continue
            self._compare(answer, chosen)

    def _compare(self, answer: Classified, chosen: list[int]) -> None:
        right = np.stack([self._right(answer.version, i) for i in chosen])
        if np.abs(answer.probabilities - right).max() <= 1e-4:
            self.seen.answered[answer.version] += 1
        else:
            self.seen.wrong += 1

    def _right(self, version: int, number: int) -> np.ndarray:
        if (version, number) not in self._known:
            folder, (sound, text) = self._folders[version], self._clips[number]
            ids = np.array(load_tokenizer(folder).encode(text).ids)
            self._known[version, number] = self._alone(folder, sound, ids)[0]
        return self._known[version, number]

    def until_answered_again(self, seconds: float) -> bool:
        """Go on until requests are answered without a failure; whether they were in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            failed, answered = self.seen.failed.total(), self.seen.answered.total()
            time.sleep(0.3)
            if self.seen.failed.total() == failed and self.seen.answered.total() > answered + 20:
                return True
        return False

    def __enter__(self) -> "Load":
        self._thread.start()
        assert wait_until(lambda: self.seen.answered.total() > 20, 60)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait for something to become true; whether it did in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
