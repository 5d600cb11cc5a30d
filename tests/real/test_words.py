"""Word errors on AMI's half-minutes, beside faster-whisper's own with the same model."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from components.config import Profile, Settings, load_profile, resolve_model
from components.conversation import Recording, Turn, read_audio, read_words
from components.scoring import WordErrors, wer
from components.transcribe import Transcriber
from tests.real.data import RealData
from tests.real.report import Number, Report

AMI = "AMI's half-minutes, words of all speakers in order of time"
NOTE = "lower case, no punctuation (components.scoring.normalise); {}"

Recognise = Callable[[np.ndarray], str]


@pytest.fixture(scope="module")
def profile() -> Profile:
    """The demo profile."""
    return load_profile("demo")


def errors(data: RealData, recognise: Recognise) -> WordErrors:
    """Summed over the meetings; overlapping speech is in order of each word's start."""
    total = WordErrors(0, 0)
    for meeting in data.meetings:
        truth = read_words(data.ami / "truth_words" / f"{meeting.name}.json")
        words = [word for segment in truth for word in segment.words]
        text = " ".join(w.text for w in sorted(words, key=lambda w: w.start or 0.0))
        total += one(meeting, text, recognise(read_audio(meeting.audio)))
    return total


def one(meeting: Recording, truth: str, recognised: str) -> WordErrors:
    reference = Turn(meeting.name, 0.0, 1.0, "all", truth)
    return wer([reference], [replace(reference, words=recognised)])


def faster_whisper(profile: Profile) -> Recognise:
    """faster-whisper as it comes, beam 5, the same weights and numbers."""
    from faster_whisper import WhisperModel

    options = profile.transcribe
    model = WhisperModel(
        resolve_model(options.model, Settings()), device="cpu", compute_type=options.compute_type
    )

    def recognise(audio: np.ndarray) -> str:
        segments, _ = model.transcribe(audio, beam_size=5, language=options.language)
        return " ".join(part.text for part in segments)

    return recognise


def test_word_errors_are_not_above_faster_whispers(
    data: RealData, report: Report, profile: Profile
) -> None:
    transcriber = Transcriber(profile.transcribe, Settings())
    measured = errors(
        data, lambda audio: " ".join(part.text for part in transcriber.transcribe(audio))
    )
    beside = errors(data, faster_whisper(profile))
    note = NOTE.format(f"{measured.errors} of {measured.length} words")
    report.add(
        Number(AMI, "word error rate", measured.rate, target=beside.rate, better="low", note=note)
    )
    report.add(
        Number(AMI, "faster-whisper's own, beam 5", beside.rate, better="low",
               note=NOTE.format(f"{beside.errors} of {beside.length} words"))
    )  # fmt: skip
    assert measured.length == beside.length > 0
