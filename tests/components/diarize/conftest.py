"""The demo's diarization, loaded once, and recordings of one to five voices."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.config import Settings, load_profile
from components.conversation import SAMPLE_RATE, SpeakerSegment, read_audio, read_rttm
from components.diarize import Diarizer

Talk = tuple[np.ndarray, list[SpeakerSegment]]


@pytest.fixture(scope="session")
def diarizer(models_home: Path) -> Diarizer:
    """The demo profile's."""
    return Diarizer(load_profile("demo").diarize, Settings(models=models_home))


@pytest.fixture(scope="session")
def dialogue(demo_corpus: Path) -> Talk:
    """A synthetic dialogue and who really speaks when."""
    (audio,) = demo_corpus.rglob("Ses03M_script02_2.ogg")
    (truth,) = read_rttm(demo_corpus / "truth" / "Ses03M_script02_2.rttm").values()
    return read_audio(audio), truth


@pytest.fixture(scope="session")
def voices(demo_corpus: Path) -> Callable[[int], Talk]:
    """Makes a talk of so many voices, each speaking three times, with pauses."""

    def talk(count: int) -> Talk:
        said: list[tuple[str, list[np.ndarray]]] = []
        for path in sorted((demo_corpus / "truth").glob("Ses0?F_script01_1.rttm"))[:3]:
            (audio,) = demo_corpus.rglob(f"{path.stem}.ogg")
            (segments,) = read_rttm(path).values()
            for speaker in sorted({s.speaker for s in segments}):
                own = sorted(
                    (s for s in segments if s.speaker == speaker), key=lambda s: s.start - s.end
                )
                said.append((speaker, [read_audio(audio, s.start, s.end) for s in own[:3]]))
        # as quiet as the recordings' own pauses: digital silence does not sound like one
        pause = np.random.default_rng(0).normal(0, 1e-3, SAMPLE_RATE // 2).astype(np.float32)
        parts: list[np.ndarray] = []
        truth, now = [], 0.0
        for turn in range(3):
            for speaker, utterances in said[:count]:
                speech = utterances[turn]
                parts += [pause, speech]
                end = now + 0.5 + len(speech) / SAMPLE_RATE
                truth.append(SpeakerSegment(now + 0.5, end, speaker))
                now = end
        return np.concatenate(parts), truth

    return talk
