"""A turn takes the emotion that covers most of it, if that is at least half."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from components.base import InputError
from components.conversation import (
    TURNS,
    Document,
    Recording,
    Turn,
    Utterance,
    turns_text,
    write_documents,
)
from components.label import COLUMNS, label, label_corpus


def utterance(name: str, start: float, end: float, emotion: str, speaker: str = "F") -> Utterance:
    return Utterance(name, "r", start, end, speaker, speaker, "text", emotion)


def recording(*utterances: Utterance) -> Recording:
    return Recording("r", Path("r.wav"), "Session1", False, utterances)


def turn(start: float, end: float) -> Turn:
    return Turn("r", start, end, "SPEAKER_00", "so it is", asr_confidence=0.5)


def test_the_emotion_that_covers_most() -> None:
    #   |---- sad ----|-- angry --|      0–3, 3–4
    #      |--- turn -----|              1–4
    examples = label(
        [turn(1, 4)], recording(utterance("a", 0, 3, "sad"), utterance("b", 3, 4, "angry", "M"))
    )
    (example,) = examples
    assert (example.emotion, example.utterance_id, example.speaker) == ("sad", "a", "F")
    assert example.coverage == pytest.approx(2 / 3)
    assert (example.text, example.asr_confidence, example.fold) == ("so it is", 0.5, "Session1")


def test_half_is_half_whatever_floating_point_makes_of_it() -> None:
    half = utterance("a", 0.3, 0.6, "sad")
    assert (half.end - half.start) / (0.9 - 0.3) < 0.5
    assert label([turn(0.3, 0.9)], recording(half))


@pytest.mark.parametrize(("end", "labelled"), [(2.0, True), (2.01, False)])
def test_at_least_half(end: float, labelled: bool) -> None:
    assert bool(label([turn(0, end)], recording(utterance("a", 0, 1, "sad")))) is labelled


def test_utterances_of_one_emotion_add_up_as_a_union() -> None:
    # two sad utterances that overlap cover 0–1.2 of the turn, not 1.6; happy covers 1.2–3
    utterances = (
        utterance("a", 0, 0.8, "sad"),
        utterance("b", 0.4, 1.2, "sad", "M"),
        utterance("c", 1.2, 3, "happy"),
    )
    (example,) = label([turn(0, 3)], recording(*utterances))
    assert (example.emotion, example.coverage) == ("happy", pytest.approx(0.6))


def test_another_emotion_labels_nothing() -> None:
    other = recording(utterance("a", 0, 3, "frustrated"), utterance("b", 2, 3, "sad"))
    assert label([turn(0, 3)], other) == []


def test_a_turn_of_no_length_or_beside_everything_labels_nothing() -> None:
    assert label([turn(1, 1), turn(7, 8)], recording(utterance("a", 0, 3, "sad"))) == []


def keep(path: Path, *turns: Turn) -> None:
    write_documents(path, [Document("r", TURNS, turns_text(turns))])


def test_a_recording_without_turns_is_named(tmp_path: Path) -> None:
    keep(tmp_path / "turns", turn(0, 1))
    both = [recording(utterance("a", 0, 1, "sad")) for _ in range(2)]
    both[1] = replace(both[1], name="silent")
    with pytest.raises(InputError, match="turns: has no turns of silent; align it first"):
        label_corpus(tmp_path / "turns", both, tmp_path / "e")


def test_examples_parquet(tmp_path: Path) -> None:
    keep(tmp_path / "turns", turn(0, 1), turn(5, 6))
    counts = label_corpus(
        tmp_path / "turns", [recording(utterance("a", 0, 1, "sad"))], tmp_path / "examples.parquet"
    )
    assert counts == {"sad": 1}
    table = pd.read_parquet(tmp_path / "examples.parquet")
    assert tuple(table.columns) == COLUMNS
    assert table.iloc[0].utterance_id == "a"


def test_no_label_at_all_is_refused(tmp_path: Path) -> None:
    keep(tmp_path / "turns", turn(5, 6))
    with pytest.raises(InputError, match="no turn overlaps"):
        label_corpus(tmp_path / "turns", [recording(utterance("a", 0, 1, "sad"))], tmp_path / "e")
    assert not (tmp_path / "e").exists()
