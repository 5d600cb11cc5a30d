"""Who speaks when on real voices, and to whom the demo profile's recogniser's words go."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import meeteval
import numpy as np
import pytest

from components.align import align
from components.config import Settings, load_profile
from components.conversation import (
    AsrSegment,
    Turn,
    read_audio,
    read_manifest,
    turns_from_rttm,
)
from components.diarize import Diarization, Diarizer, hear_words_again
from components.scoring import (
    WordSpeakers,
    score,
    wer,
    word_speaker_accuracy,
    word_speakers,
)
from components.transcribe import Transcriber
from pipelines.demo.sample import sample_conversation
from tests.real.data import RealData
from tests.real.report import Number, Report
from tests.word_systems import others

RAVDESS, AMI, CALL = "RAVDESS' conversations", "AMI's half-minutes", "the telephone call"


@dataclass(frozen=True)
class Talk:
    """A recording, who speaks in it and what is said.

    Attributes:
        speech: a turn for each stretch of one speaker, for the diarization error.
        turns: with words.
    """

    name: str
    audio: np.ndarray
    speech: Sequence[Turn]
    turns: Sequence[Turn]


def again(
    diarizer: Diarizer,
    talk: Talk,
    words: Sequence[AsrSegment],
    diarization: Diarization,
    known: bool,
) -> Diarization:
    """After the second hearing, as `analyze` has it."""
    most = len({turn.speaker for turn in talk.speech}) if known else None
    return hear_words_again(diarizer, talk.audio, diarization, words, most=most)


def ravdess(data: RealData) -> list[Talk]:
    return [
        Talk(recording.name, read_audio(recording.audio), turns, turns)
        for recording in read_manifest(data.ravdess)
        for turns in [
            [Turn(recording.name, u.start, u.end, u.speaker, u.text) for u in recording.utterances]
        ]
    ]


def ami(data: RealData) -> list[Talk]:
    return [
        Talk(
            recording.name,
            read_audio(recording.audio),
            turns_from_rttm(data.ami / "rttm" / f"{recording.name}.rttm"),
            [Turn(recording.name, u.start, u.end, u.speaker, u.text) for u in recording.utterances],
        )
        for recording in data.meetings
    ]


def call(_: RealData) -> list[Talk]:
    audio, rttm = sample_conversation()
    stm = meeteval.io.STM.load(rttm.with_suffix(".stm")).to_seglst()
    turns = [
        Turn(
            s["session_id"], float(s["start_time"]), float(s["end_time"]), s["speaker"], s["words"]
        )
        for s in stm
    ]
    return [Talk("sample", read_audio(audio), turns_from_rttm(rttm), turns)]


SETS: dict[str, Callable[[RealData], list[Talk]]] = {RAVDESS: ravdess, AMI: ami, CALL: call}


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    return Diarizer(load_profile("demo").diarize, Settings())


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber(load_profile("demo").transcribe, Settings())


@pytest.fixture(scope="module", params=SETS)
def talks(request: pytest.FixtureRequest, data: RealData) -> tuple[str, list[Talk]]:
    """A set's name and its recordings."""
    return request.param, SETS[request.param](data)


@pytest.fixture(scope="module")
def heard(talks: tuple[str, list[Talk]], transcriber: Transcriber) -> dict[str, list[AsrSegment]]:
    """The words of each recording."""
    return {talk.name: transcriber.transcribe(talk.audio) for talk in talks[1]}


@pytest.mark.parametrize("known", [True, False], ids=["number known", "number unknown"])
def test_speakers(
    talks: tuple[str, list[Talk]],
    heard: dict[str, list[AsrSegment]],
    diarizer: Diarizer,
    report: Report,
    known: bool,
) -> None:
    name, recordings = talks
    section = f"speakers, {name}, their number {'known' if known else 'unknown'}"
    reference, hypothesis, counted, right, paired = [], [], 0, 0, 0
    ways: dict[str, list[WordSpeakers]] = defaultdict(list)
    for talk in recordings:
        number = len({turn.speaker for turn in talk.speech})
        diarization = diarizer.diarize(talk.audio, number if known else None)
        segments = diarization.segments
        counted += len({segment.speaker for segment in segments}) == number
        reference += talk.speech
        hypothesis += [Turn(talk.name, s.start, s.end, s.speaker, "") for s in segments]
        turns = align(heard[talk.name], diarization.exclusive, session_id=talk.name)
        share = word_speaker_accuracy(talk.turns, turns)
        right, paired = right + share.correct, paired + share.total
        ways["overlap"].append(word_speakers(talk.turns, turns))
        for way, found in (
            ("evidence, segments alone", replace(diarization, scores=None)),
            ("evidence, frame scores", diarization),
            ("evidence, heard again", again(diarizer, talk, heard[talk.name], diarization, known)),
        ):
            turns = align(heard[talk.name], found.exclusive, session_id=talk.name,
                          method="evidence", scores=found.scores)  # fmt: skip
            ways[way].append(word_speakers(talk.turns, turns))

    def rate(what: str, value: float, better: Any, note: str = "") -> None:
        report.add(Number(section, what, value, better=better, note=note))

    for convention, how in (("collar0", "collar 0"), ("wu2023", "collar 0.25 s")):
        errors = score(reference, hypothesis, convention).der
        parts = {
            k: getattr(errors, k) / errors.total for k in ("missed", "false_alarm", "confusion")
        }
        note = ", ".join(f"{part.replace('_', ' ')} {share:.3f}" for part, share in parts.items())
        rate(f"diarization error rate, {how}", errors.rate, "low", note)
    rate("words given to the right speaker", right / paired, "high", f"of {paired}")
    for way, scores in ways.items():
        total = sum(scores, start=WordSpeakers.zero())
        before = sum(one.errors.errors for one in ways["overlap"])
        fewer = 1 - total.errors.errors / before if before else 0.0
        pairs = zip(scores, ways["overlap"], strict=True)
        worse = sum(a.cpwer.errors > b.cpwer.errors for a, b in pairs)
        rate(f"word-speaker error, {way}", total.errors.rate, "low", others(total))
        rate(f"fewer than by overlap, {way}", fewer, "high", f"cpWER worse on {worse} recordings")
    if not known:
        rate("recordings whose speakers were counted right", counted / len(recordings), "high")
    assert 0 < right <= paired


def test_words(
    talks: tuple[str, list[Talk]], heard: dict[str, list[AsrSegment]], report: Report
) -> None:
    name, recordings = talks
    errors = length = 0
    for talk in recordings:
        words = [Turn(talk.name, s.start, s.end, "", s.text) for s in heard[talk.name]]
        counts = wer(talk.turns, words)
        errors, length = errors + counts.errors, length + counts.length
    report.add(Number(f"words, {name}", "word error rate", errors / length, better="low"))
    assert length > 0
