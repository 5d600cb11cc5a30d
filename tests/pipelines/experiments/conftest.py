"""A corpus of tones in three folds, what was heard of it, tiny encoders, and one experiment."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from components.config import Profile, Settings, load_profile
from components.conversation import (
    DEFAULT_LABELS,
    EXCLUSIVE,
    SAMPLE_RATE,
    SPEAKERS,
    TRANSCRIPTS,
    AsrSegment,
    Document,
    Recording,
    SpeakerSegment,
    Utterance,
    Word,
    rttm_text,
    words_text,
    write_documents,
)
from pipelines.experiments import Results, run_experiment
from tests.tiny import save_encoders

SAID = {"angry": "no stop", "happy": "yes good", "neutral": "the room", "sad": "lost gone"}
PITCH = {"angry": 400, "happy": 300, "neutral": 200, "sad": 100}
LENGTHS = {"A": 1.0, "B": 0.6}


@pytest.fixture(scope="session", autouse=True)
def few_threads() -> Iterator[None]:
    """torch with one thread: work this small is only slowed down by sharing it out."""
    from components.train.states import one_thread

    with one_thread():
        yield


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of prepared models: `tiny-wave` (wav2vec 2.0) and `tiny-text` (BERT)."""
    return save_encoders(tmp_path_factory.mktemp("models"), list(SAID.values()), width=16)


def emotion_of(number: int, place: int) -> str:
    return DEFAULT_LABELS[(place + number) % 4]


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Six recordings in three folds, one improvised and one scripted in each.

    Eight utterances each, by A (1.0 s) and B (0.6 s) in turn.
    """
    home = tmp_path_factory.mktemp("corpus")
    noise = np.random.default_rng(0)
    recordings = []
    for number in range(6):
        name = f"r{number}"
        sound = 0.01 * noise.standard_normal(round(4 * 2.6 * SAMPLE_RATE))
        utterances = []
        for place in range(8):
            emotion, speaker = emotion_of(number, place), "AB"[place % 2]
            start = 2.6 * (place // 2) + 1.1 * (place % 2)
            end = start + LENGTHS[speaker]
            time = np.arange(round((end - start) * SAMPLE_RATE)) / SAMPLE_RATE
            at = round(start * SAMPLE_RATE)
            sound[at : at + len(time)] += 0.2 * np.sin(2 * np.pi * PITCH[emotion] * time)
            utterances.append(
                Utterance(f"{name}-{place}", name, start, end, speaker, "FM"[place % 2],
                          SAID[emotion], emotion)
            )  # fmt: skip
        soundfile.write(home / f"{name}.wav", sound.astype("f4"), SAMPLE_RATE)
        recordings.append(
            Recording(name, home / f"{name}.wav", f"fold{number // 2}", bool(number % 2),
                      tuple(utterances))
        )  # fmt: skip
    return recordings


@pytest.fixture(scope="session")
def heard(recordings: list[Recording], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the speech models made of it: every word right, two utterances a segment.

    Alignment gets each word its speaker; without it, every second utterance goes to another.
    """
    work = tmp_path_factory.mktemp("work")
    words_of: dict[str, list[Document]] = {"vad": [], "reference": []}
    speakers: list[Document] = []
    for recording in recordings:
        segments = []
        for pair in zip(recording.utterances[::2], recording.utterances[1::2], strict=True):
            words = tuple(
                Word(text, u.start + half * i, u.start + half * (i + 1), 0.9)
                for u in pair
                for half in [(u.end - u.start) / 2]
                for i, text in enumerate(u.text.split())
            )
            text = " ".join(word.text for word in words)
            segments.append(AsrSegment(pair[0].start, pair[1].end, text, words))
        by_reference = [
            AsrSegment(s.words[i].start or 0, s.words[i + 1].end or 0, "", s.words[i : i + 2])
            for s in segments
            for i in (0, 2)
        ]
        spoken = [SpeakerSegment(u.start, u.end, f"S{u.speaker}") for u in recording.utterances]
        for segmentation, own in (("vad", segments), ("reference", by_reference)):
            words_of[segmentation].append(Document(recording.name, TRANSCRIPTS, words_text(own)))
        rttm = rttm_text(recording.name, spoken)
        speakers += [Document(recording.name, kind, rttm) for kind in (SPEAKERS, EXCLUSIVE)]
    for segmentation, documents in words_of.items():
        write_documents(work / segmentation / "words.parquet", documents)
        write_documents(work / segmentation / "speakers.parquet", speakers)
    return work


@pytest.fixture(scope="session")
def profile() -> Profile:
    """The demo profile over tiny encoders, two epochs, one seed."""
    base = load_profile("tiny").model_dump(mode="json")
    base["fusion"] = {
        "acoustic": "tiny-wave",
        "text": "tiny-text",
        "heads": 2,
        "feed_forward": 16,
    }
    train = {"epochs": 2, "batch_size": 8, "learning_rate": 3e-3}
    base["experiment"] = {
        "seeds": 1,
        "frozen": {**train, "freeze_encoders": True},
        "fine_tuned": {**train, "freeze_encoders": False},
    }
    return Profile.model_validate(base)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Settings:
    """Moodline's state, kept through all these tests."""
    return Settings(home=tmp_path_factory.mktemp("home"), models=tiny_models)


@dataclass
class ProgressLog:
    """The progress that an experiment reported."""

    lines: list[tuple[str, int, int]] = field(default_factory=list)

    def __call__(self, what: str, done: int, total: int) -> None:
        self.lines.append((what, done, total))

    @property
    def trained(self) -> set[str]:
        """The units that were worked on, not taken from the cache."""
        return {what for what, _, _ in self.lines if "without fold" in what}


Run = Callable[..., tuple[Results, ProgressLog]]


@pytest.fixture(scope="session")
def run(recordings: list[Recording], heard: Path, profile: Profile, settings: Settings) -> Run:
    """Run an experiment on the corpus, with changes to what it is run with."""

    def run(name: str, **changes: Any) -> tuple[Results, ProgressLog]:
        progress = ProgressLog()
        use = {"recordings": recordings, "profile": profile, "settings": settings, **changes}
        results = run_experiment(name, work=heard, progress=progress, synthetic=True, **use)
        return results, progress

    return run


@pytest.fixture(scope="session")
def everything(run: Run) -> tuple[Results, ProgressLog]:
    """All systems on all folds, from nothing."""
    return run("all")
