"""What callers do: send recordings to the service, and say what the emotions really were."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from components.base import InputError
from components.config import Profile
from components.conversation import Recording, Seconds, Turn
from components.conversation.seglst import turn_from
from components.label import label

ANSWER_SECONDS: Seconds = 600.0
NOT_NOW = (429, 503)
PATIENCE: Seconds = 60.0

SPEAKERS = 2
"""In each of the demo's recordings, as in a call."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A recording's answer.

    Attributes:
        request_id: feedback names it.
        version: of the model that answered.
        recording: as it was sent, with what is known of it.
        turns: with their emotions.
    """

    request_id: str
    version: int
    recording: Recording
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Calls:
    """The recordings that callers send.

    Attributes:
        normal: validation and test part of the corpus, as they are.
        corrected: the training part as if from elsewhere; people say what was right.
        held_out: validation and test part as if from elsewhere; nobody corrects them, and nothing
            is trained on them.
        tested: the names of the test part's recordings.
    """

    normal: tuple[Recording, ...]
    corrected: tuple[Recording, ...]
    held_out: tuple[Recording, ...]
    tested: frozenset[str]


class Caller:
    """Asks the service.

    Args:
        url: of the service.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=ANSWER_SECONDS)

    def version(self) -> int:
        """The version that takes the traffic."""
        return int(_answered(self._client.get("/v1/model")).json()["version"])

    def analyze(self, recording: Recording) -> Answer:
        """Send a recording to `/v1/analyze`.

        Raises:
            InputError: the service refuses.
        """
        sound = (f"{recording.name}{recording.audio.suffix}", recording.audio.read_bytes())
        answer = self._post(
            "/v1/analyze", files={"audio": sound}, data={"num_speakers": str(SPEAKERS)}
        )
        body: dict[str, Any] = answer.json()
        return Answer(
            answer.headers["X-Request-Id"],
            int(body["model"]["version"]),
            recording,
            tuple(turn_from(entry, "the service’s answer") for entry in body["turns"]),
        )

    def correct(self, answer: Answer) -> tuple[int, int]:
        """Send the right emotion of each turn that has one to `/v1/feedback`, as a reviewer does.

        Returns:
            How many turns were told of, and how many of them had been answered wrongly.

        Raises:
            InputError: the service refuses.
        """
        told = wrong = 0
        for number, turn in enumerate(answer.turns):
            for example in label([turn], answer.recording):
                said = {"request_id": answer.request_id, "turn": number, "source": "reviewer"}
                self._post("/v1/feedback", json=said | {"emotion": example.emotion})
                told += 1
                wrong += example.emotion != turn.emotion
        return told, wrong

    def _post(self, path: str, **content: Any) -> httpx.Response:
        """Ask, and again for a while where the service says that it cannot just now."""
        end = time.monotonic() + PATIENCE
        while True:
            answer = self._client.post(path, **content)
            if answer.status_code not in NOT_NOW or time.monotonic() > end:
                return _answered(answer)
            time.sleep(1.0)

    def close(self) -> None:
        """Hang up."""
        self._client.close()


def _answered(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise InputError(f"{answer.url}: {answer.status_code} {' '.join(answer.text.split())}")
    return answer


def measured(answers: Sequence[Answer], seed: int) -> Any:
    """The numbers of answers against what is known, as an evaluation counts them."""
    from components.evaluate import measure

    turns = [turn for answer in answers for turn in answer.turns]
    return measure([answer.recording for answer in answers], turns, seed)


def prepared(corpus: Path, profile: Profile, folder: Path) -> Calls:
    """The recordings to send.

    Args:
        folder: where the sound of those from elsewhere goes.
    """
    from components.corpus import read_corpus
    from pipelines.demo.elsewhere import Elsewhere, from_elsewhere

    parts: dict[str, list[Recording]] = {"training": [], "validation": [], "test": []}
    for recording in read_corpus(corpus):
        parts[profile.protocol.part(recording.name, recording.fold)].append(recording)
    held_out = (*parts["validation"], *parts["test"])
    corrected, moved = (
        tuple(from_elsewhere(recording, folder / name, Elsewhere()) for recording in recordings)
        for name, recordings in (("corrected", parts["training"]), ("held-out", held_out))
    )
    tested = frozenset(recording.name for recording in parts["test"])
    return Calls(held_out, corrected, moved, tested)
