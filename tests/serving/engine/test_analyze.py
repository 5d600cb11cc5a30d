"""Turns and their stretches of sound, without any model."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from components.base import InputError
from components.config import Settings, load_profile
from components.conversation import DEFAULT_LABELS, AsrSegment, SpeakerSegment, Turn, Word
from components.diarize import Diarization
from components.fusion import turn_clip
from serving.engine.analyze import Analyzer
from serving.engine.options import Options

TURNS = [
    Turn("talk", 0.5, 1.0, "A", "good morning"),
    Turn("talk", 1.0, 1.0, "B", "oh"),
    Turn("talk", 1.9, 2.5, "A", "bye"),
]


def test_a_clip_is_the_turns_own_stretch() -> None:
    audio = np.arange(2 * 16_000, dtype=np.float32)
    clips = [turn_clip(audio, turn) for turn in TURNS]
    assert [words for _, words in clips] == ["good morning", "oh", "bye"]
    np.testing.assert_array_equal(clips[0][0], audio[8_000:16_000])
    assert len(clips[1][0]) == 0
    assert len(clips[2][0]) == 1_600, "a turn that ends after the recording is cut there"


def test_the_most_probable_emotion_is_taken() -> None:
    table = np.eye(4)[[3, 0, 1]] * 0.6 + 0.1
    labelled = [turn.answered(row, DEFAULT_LABELS) for turn, row in zip(TURNS, table, strict=True)]
    assert [turn.emotion for turn in labelled] == ["sad", "angry", "happy"]
    assert [turn.confidence for turn in labelled] == pytest.approx([0.7, 0.7, 0.7])
    assert labelled[0].probabilities == pytest.approx(
        dict(zip(DEFAULT_LABELS, table[0], strict=True))
    )
    assert [turn.words for turn in labelled] == [turn.words for turn in TURNS]


def test_an_answer_has_a_probability_for_each_emotion() -> None:
    with pytest.raises(ValueError, match="zip"):
        TURNS[0].answered(np.full(3, 0.25), DEFAULT_LABELS)


def test_no_sound_needs_no_models() -> None:
    analyzer = Analyzer(load_profile("tiny"), Settings())
    analysis = analyzer.analyze(np.zeros(0, np.float32), Options("nothing"))
    assert (analysis.duration, analysis.turns) == (0, ())


class Heard:
    """Speech models that heard A and, from 1 to 2 s, B over A."""

    def language_of(self, audio: np.ndarray, asked: str | None) -> str:
        return asked or "en"

    def transcribe(self, audio: np.ndarray, **_: object) -> list[AsrSegment]:
        words = (Word("well", 0.2, 0.8), Word("no", 1.2, 1.8), Word("then", 2.2, 2.8))
        return [AsrSegment(0.0, 3.0, "well no then", words)]

    def diarize(self, audio: np.ndarray, *_: object, **__: object) -> Diarization:
        a, b = SpeakerSegment(0.0, 3.0, "A"), SpeakerSegment(1.0, 2.0, "B")
        alone = (replace(a, end=1.0), b, replace(a, start=2.0))
        return Diarization((a, b), alone)


def test_words_go_to_one_speaker_at_a_time_and_overlap_is_told() -> None:
    analyzer = Analyzer(load_profile("tiny", ["align.method=overlap"]), Settings())
    analyzer._transcriber = analyzer._diarizer = Heard()  # type: ignore[assignment]
    heard = analyzer.find_turns(np.zeros(3 * 16_000, np.float32), Options("talk"))
    # Over both, “no” would be A's: a tie goes to the speaker of the word before.
    assert [(turn.speaker, turn.words) for turn in heard.turns] == [
        ("A", "well"),
        ("B", "no"),
        ("A", "then"),
    ]
    assert heard.speakers == (SpeakerSegment(0.0, 3.0, "A"), SpeakerSegment(1.0, 2.0, "B"))


def test_by_evidence_turns_and_words_say_how_sure_their_speaker_is() -> None:
    analyzer = Analyzer(load_profile("tiny", ["align.method=evidence"]), Settings())
    analyzer._transcriber = analyzer._diarizer = Heard()  # type: ignore[assignment]
    options = Options("talk", words=True, max_pause="auto")
    heard = analyzer.find_turns(np.zeros(3 * 16_000, np.float32), options)
    # Three words without a full stop are one sentence, and most of it is A's.
    (turn,) = heard.turns
    assert (turn.speaker, turn.words) == ("A", "well no then")
    sure = [word.speaker_confidence or 0 for word in heard.words]
    assert turn.speaker_confidence == pytest.approx(np.mean(sure), abs=1e-4)
    assert sure[1] < min(sure[0], sure[2])


class HeardByChannel(Heard):
    """A speaks all the time, and B says no meanwhile; nobody speaks on a third channel."""

    def transcribe_channels(self, channels: np.ndarray, **_: object) -> list[AsrSegment]:
        said = (Word("well", 0.2, 0.8, speaker="CHANNEL_1"), Word("so", 2, 3, speaker="CHANNEL_1"))
        no = Word("no", 0.5, 0.9, speaker="CHANNEL_2")
        return [AsrSegment(0.0, 3.0, "well so", said), AsrSegment(0.5, 0.9, "no", (no,))]

    def diarize(self, audio: np.ndarray, *_: object, **__: object) -> Diarization:
        spans = ((0.0, 3.0, "CHANNEL_1"), (0.5, 1.0, "CHANNEL_2"))
        both = tuple(SpeakerSegment(*span) for span in spans)
        return Diarization(both, both)


def test_words_of_channels_are_their_speakers_and_a_channel_without_speech_is_told() -> None:
    analyzer = Analyzer(load_profile("tiny"), Settings())
    fake = HeardByChannel()
    analyzer._transcriber = analyzer._diarizer = analyzer._by_channel = fake  # type: ignore[assignment]
    options = Options("talk", words=True, channels=True, max_pause=2.0)
    assert analyzer.wants_channels(options)
    sound = np.zeros((3, 3 * 16_000), np.float32)
    heard = analyzer.find_turns(sound[0], options, channels=sound)
    turns = [(turn.speaker, turn.words) for turn in heard.turns]
    assert turns == [("CHANNEL_1", "well so"), ("CHANNEL_2", "no")]
    spoken = [(word.text, word.speaker) for word in heard.words]
    assert spoken == [("well", "CHANNEL_1"), ("no", "CHANNEL_2"), ("so", "CHANNEL_1")]
    assert heard.notes == ("has nobody speaking on channel 3",)


def test_numbers_of_speakers_that_contradict_each_other() -> None:
    assert Options("talk", min_speakers=2, max_speakers=2)
    for counts in ({"num_speakers": 2, "min_speakers": 2}, {"min_speakers": 3, "max_speakers": 2}):
        with pytest.raises(InputError, match="_speakers"):
            Options("talk", **counts)


def test_a_number_of_speakers_contradicts_channels() -> None:
    with pytest.raises(InputError, match="channels: each is a speaker"):
        Options("talk", 2, channels=True)
    by_channel = Analyzer(load_profile("tiny", ["diarize.pipeline=channels"]), Settings())
    assert by_channel.wants_channels(Options("talk"))
    with pytest.raises(InputError, match="channels: each is a speaker"):
        by_channel.wants_channels(Options("talk", 2))


class Voices(Heard):
    """As `Heard`, where A and B have voices; in a sample one voice speaks all the time."""

    def diarize(self, audio: np.ndarray, *asked: object, **more: object) -> Diarization:
        if audio[0] == 0:
            voices = {"A": np.array([1.0, 0.0]), "B": np.array([0.0, 1.0])}
            return replace(super().diarize(audio), voices=voices)
        one = (SpeakerSegment(0.0, len(audio) / 16_000, "S"),)
        return Diarization(one, one, {"S": np.array([audio[0], audio[1]])})


class HearsAgain(Voices):
    """As `Voices`, where what A seemed to say from 2 to 3 s has B's voice."""

    def transcribe(self, audio: np.ndarray, **_: object) -> list[AsrSegment]:
        words = (Word("Well.", 0.2, 0.8), Word("No.", 1.2, 1.8), Word("Then", 2.2, 2.8))
        return [AsrSegment(0.0, 3.0, "Well. No. Then", words)]

    def voice(self, audio: np.ndarray, start: float, end: float) -> np.ndarray:
        return np.array([1.0, 0.0]) if start < 1 else np.array([0.0, 1.0])


def test_by_evidence_each_sentence_is_heard_again_and_by_overlap_none_is() -> None:
    stages: list[str] = []
    for method, speakers in (("evidence", ["A", "B"]), ("overlap", ["A", "B", "A"])):
        analyzer = Analyzer(load_profile("tiny", [f"align.method={method}"]), Settings())
        analyzer._transcriber = analyzer._diarizer = HearsAgain()  # type: ignore[assignment]
        sound = np.zeros(3 * 16_000, np.float32)
        heard = analyzer.find_turns(sound, Options("talk"), lambda stage, _: stages.append(stage))
        assert [turn.speaker for turn in heard.turns] == speakers
    assert stages == ["diarize"] * 3  # by the sentence: what is late or unwanted ends there

    def late(stage: str, _: float) -> None:
        raise TimeoutError

    analyzer = Analyzer(load_profile("tiny", ["align.method=evidence"]), Settings())
    analyzer._transcriber = analyzer._diarizer = HearsAgain()  # type: ignore[assignment]
    with pytest.raises(TimeoutError):
        analyzer.find_turns(sound, Options("talk"), late)


def test_speakers_are_named_by_samples_of_their_voices() -> None:
    analyzer = Analyzer(load_profile("tiny"), Settings())
    analyzer._transcriber = analyzer._diarizer = Voices()  # type: ignore[assignment]
    bob, eve = np.zeros((2, 4 * 16_000), np.float32)
    bob[:2], eve[:2] = (0.1, 0.995), (-1.0, -0.1)
    talk = np.zeros(3 * 16_000, np.float32)
    heard = analyzer.find_turns(talk, Options("talk"), samples={"Bob": bob, "Eve": eve})
    assert [turn.speaker for turn in heard.turns] == ["A", "Bob", "A"]
    assert {segment.speaker for segment in heard.speakers} == {"A", "Bob"}
    assert heard.notes == ("has nobody who sounds like Eve",)
    with pytest.raises(InputError, match=r"speaker Bob: the sample has 2\.0 s of speech"):
        analyzer.find_turns(talk, Options("talk"), samples={"Bob": bob[: 2 * 16_000]})
    with pytest.raises(InputError, match="leave out samples of voices"):
        Options("talk", channels=True, known=("Bob",))


def test_speakers_are_named_by_voice_prints_that_are_kept() -> None:
    analyzer = Analyzer(load_profile("tiny"), Settings())
    analyzer._transcriber = analyzer._diarizer = Voices()  # type: ignore[assignment]
    bob = np.zeros(4 * 16_000, np.float32)
    bob[:2] = (0.1, 0.995)
    talk, ann = np.zeros(3 * 16_000, np.float32), np.array([0.995, 0.1])
    heard = analyzer.find_turns(talk, Options("talk"), samples={"Bob": bob}, voices={"Ann": ann})
    assert [turn.speaker for turn in heard.turns] == ["Ann", "Bob", "Ann"]
    for asked, line in (
        ({"kept": ("Ann", "Ann")}, "Ann: is asked for twice"),
        ({"kept": ("Ann",), "known": ("Ann",)}, "Ann: is asked for twice"),
        ({"kept": ("Ann",), "channels": True}, "leave out samples of voices"),
    ):
        with pytest.raises(InputError, match=line):
            Options("talk", **asked)
    by_channel = Analyzer(load_profile("tiny", ["diarize.pipeline=channels"]), Settings())
    by_channel._transcriber = Voices()  # type: ignore[assignment]
    with pytest.raises(InputError, match="nobody is known by the voice"):
        by_channel.voice_prints({"Bob": bob})


GROWTH = """
import psutil, torch
from serving.engine.memory import return_freed_memory
return_freed_memory()
memory, kept = psutil.Process().memory_info, []
before = memory().rss
for _ in range(60):  # as pyannote does: a batch of sound, its small result kept, the next batch
    sounds = [torch.ones(1, 1, 80_000) for _ in range(11)]
    torch.vstack((sounds * 3)[:32])
    kept.append(torch.ones(32, 256))
print((memory().rss - before) >> 20)
"""


def test_batches_leave_no_memory_behind() -> None:
    """Sixty of 10 megabytes each; without `return_freed_memory` 560 megabytes stay."""
    done = subprocess.run(
        [sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 150


def test_answers_below_the_versions_threshold_say_that_they_are_uncertain() -> None:
    def half_sure(clips: list) -> np.ndarray:
        return np.tile([0.1, 0.45, 0.3, 0.15], (len(clips), 1))

    half_sure.labels = DEFAULT_LABELS  # type: ignore[attr-defined]
    for below, uncertain in ((0.0, None), (0.45, None), (0.46, True)):
        analyzer = Analyzer(load_profile("tiny"), Settings(), half_sure, below)
        analyzer._transcriber = analyzer._diarizer = Heard()  # type: ignore[assignment]
        turns = analyzer.analyze(np.zeros(3 * 16_000, np.float32), Options("talk")).turns
        assert {(turn.emotion, turn.uncertain) for turn in turns} == {("happy", uncertain)}
