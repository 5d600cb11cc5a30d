"""What the service's callers do: send recordings, and correct the emotions of the answers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from components.base import Unavailable
from components.conversation import Recording, Seconds, Turn
from components.conversation.seglst import turn_from
from components.label import label

ANSWER_SECONDS: Seconds = 600.0
RETRY_STATUSES = (429, 503)
RETRY_SECONDS: Seconds = 60.0

NUM_SPEAKERS = 2
"""In each of the demo's recordings, as in a telephone call."""


@dataclass(frozen=True, slots=True)
class AnalyzedRecording:
    """A recording and what the service answered.

    Attributes:
        request_id: feedback names it.
        version: of the model that answered.
        recording: as it was sent, with its true utterances.
        turns: with their emotions.
        labels: of that model.
    """

    request_id: str
    version: int
    recording: Recording
    turns: tuple[Turn, ...]
    labels: tuple[str, ...]


class ServiceClient(httpx.Client):
    """A caller of the service. Each method raises `Unavailable` where the service refuses."""

    def version(self) -> int:
        """The version in production."""
        return int(_checked(self.get("/v1/model")).json()["version"])

    def analyze(self, recording: Recording) -> AnalyzedRecording:
        """Send a recording to `/v1/analyze`."""
        sound = (f"{recording.name}{recording.audio.suffix}", recording.audio.read_bytes())
        form = {"num_speakers": str(NUM_SPEAKERS)}
        response = self._post("/v1/analyze", files={"audio": sound}, data=form)
        body: dict[str, Any] = response.json()
        return AnalyzedRecording(
            request_id=str(body["request_id"]),
            version=int(body["model"]["version"]),
            recording=recording,
            turns=tuple(turn_from(entry, "the service’s answer") for entry in body["turns"]),
            labels=tuple(body["model"]["labels"]),
        )

    def correct(self, analyzed: AnalyzedRecording) -> tuple[int, int]:
        """Send the true emotion of each labelled turn to `/v1/feedback`, as a reviewer does.

        Returns:
            The number of labelled turns, and how many of them had been answered correctly.
        """
        labelled = correct = 0
        for number, turn in enumerate(analyzed.turns):
            for example in label([turn], analyzed.recording, analyzed.labels):
                feedback = {
                    "request_id": analyzed.request_id,
                    "turn": number,
                    "source": "reviewer",
                    "emotion": example.emotion,
                }
                self._post("/v1/feedback", json=feedback)
                labelled += 1
                correct += example.emotion == turn.emotion
        return labelled, correct

    def _post(self, path: str, **content: Any) -> httpx.Response:
        """Post, and for a while again where the service is busy."""
        end = time.monotonic() + RETRY_SECONDS
        while True:
            response = self.post(path, **content)
            if response.status_code not in RETRY_STATUSES or time.monotonic() > end:
                return _checked(response)
            time.sleep(1.0)


def _checked(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        text = " ".join(response.text.split())
        raise Unavailable(f"{response.url}: {response.status_code} {text}")
    return response


def measure_answers(analyzed: Sequence[AnalyzedRecording], seed: int) -> Any:
    """Measure answers against the true utterances, as an evaluation does."""
    from components.evaluate import measure

    turns = [turn for one in analyzed for turn in one.turns]
    labels = tuple(dict.fromkeys(label for one in analyzed for label in one.labels))
    return measure([one.recording for one in analyzed], turns, seed, labels=labels)
