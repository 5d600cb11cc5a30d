"""Turns and their stretches of sound, without any model."""

import numpy as np
import pytest

from components.conversation import EMOTIONS, Turn
from components.profile import Settings, load_profile
from serving.analyze import Analyzer, turn_clips, with_emotions

TURNS = [
    Turn("talk", 0.5, 1.0, "A", "good morning"),
    Turn("talk", 1.0, 1.0, "B", "oh"),
    Turn("talk", 1.9, 2.5, "A", "bye"),
]


def test_a_clip_is_the_turns_own_stretch() -> None:
    audio = np.arange(2 * 16_000, dtype=np.float32)
    clips = turn_clips(audio, TURNS)
    assert [words for _, words in clips] == ["good morning", "oh", "bye"]
    np.testing.assert_array_equal(clips[0][0], audio[8_000:16_000])
    assert len(clips[1][0]) == 0
    assert len(clips[2][0]) == 1_600, "a turn that ends after the recording is cut there"


def test_the_most_probable_emotion_is_taken() -> None:
    table = np.eye(4)[[3, 0, 1]] * 0.6 + 0.1
    labelled = with_emotions(TURNS, table)
    assert [turn.emotion for turn in labelled] == ["sad", "angry", "happy"]
    assert [turn.confidence for turn in labelled] == pytest.approx([0.7, 0.7, 0.7])
    assert labelled[0].probabilities == pytest.approx(dict(zip(EMOTIONS, table[0], strict=True)))
    assert [turn.words for turn in labelled] == [turn.words for turn in TURNS]


def test_turns_and_answers_must_match_in_number() -> None:
    with pytest.raises(ValueError, match="zip"):
        with_emotions(TURNS, np.full((2, 4), 0.25))


def test_no_sound_needs_no_models() -> None:
    analyzer = Analyzer(load_profile("demo"), Settings())
    analysis = analyzer.analyze(np.zeros(0, np.float32), session_id="nothing")
    assert (analysis.duration, analysis.turns) == (0, ())
