"""The plan of the demo corpus is a pure function of its seed, and the shipped corpus follows it."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from components.corpus import read_corpus
from components.corpus.demo.make.ogg import write_ogg
from components.corpus.demo.make.plan import DialoguePlan, build_plan
from components.corpus.demo.make.synthesize import Placed, evaluation, speech, transcription
from components.corpus.iemocap import LABELS


@pytest.fixture(scope="module")
def plan() -> list[DialoguePlan]:
    return build_plan()


def test_the_seed_decides(plan: list[DialoguePlan]) -> None:
    assert build_plan() == plan
    assert build_plan(seed=1) != plan


@pytest.mark.parametrize("seed", range(5))
def test_every_plan_is_balanced(seed: int) -> None:
    dialogues = build_plan(seed)
    assert len(dialogues) == 20
    for session in range(1, 6):
        turns = [t for d in dialogues if d.session == session for t in d.turns]
        counts = Counter((LABELS[t.label], t.sex) for t in turns)
        for emotion in ("angry", "happy", "neutral", "sad"):
            assert counts[emotion, "F"] == counts[emotion, "M"] == 7
        assert len(turns) == 60
    gaps = [t.gap for d in dialogues for t in d.turns[1:]]
    assert all(0.2 <= gap <= 2.5 or -0.6 <= gap <= -0.2 for gap in gaps)
    for dialogue in dialogues:
        for before, turn in pairwise(dialogue.turns):
            assert turn.gap > 0 or turn.sex != before.sex, "nobody talks over himself"


def test_plain_words_tell_nothing(plan: list[DialoguePlan]) -> None:
    """Half of the scored turns say sentences that are also said with another emotion."""
    said: dict[str, set[str]] = {}
    turns = [t for d in plan for t in d.turns if t.label in ("ang", "hap", "exc", "neu", "sad")]
    for turn in turns:
        said.setdefault(turn.text, set()).add(LABELS[turn.label])
    assert sum(len(said[turn.text]) > 1 for turn in turns) == len(turns) / 2


def test_no_sentence_is_said_in_two_sessions(plan: list[DialoguePlan]) -> None:
    sessions: dict[str, set[int]] = {}
    for dialogue in plan:
        for turn in dialogue.turns:
            sessions.setdefault(turn.text, set()).add(dialogue.session)
    assert all(len(where) == 1 for where in sessions.values())


def test_the_shipped_corpus_follows_the_plan(plan: list[DialoguePlan], demo_corpus: Path) -> None:
    """Everything but the lengths of the turns, which are the synthesiser's."""
    recordings = {recording.name: recording for recording in read_corpus(demo_corpus)}
    assert set(recordings) == {dialogue.name for dialogue in plan}
    for dialogue in plan:
        utterances = {u.id: u for u in recordings[dialogue.name].utterances}
        assert set(utterances) == {turn.id for turn in dialogue.turns}
        latest = None
        for turn in dialogue.turns:
            utterance = utterances[turn.id]
            assert (utterance.text, utterance.sex) == (turn.text, turn.sex)
            assert utterance.emotion == LABELS[turn.label]
            if latest is not None:
                assert utterance.start - latest == pytest.approx(turn.gap, abs=2e-4)
            latest = max(latest or 0.0, utterance.end)


def test_labels_are_written_as_planned(plan: list[DialoguePlan], demo_corpus: Path) -> None:
    """The shipped label files are what the generator writes for the shipped times."""
    dialogue = plan[0]
    recording = next(r for r in read_corpus(demo_corpus) if r.name == dialogue.name)
    utterances = {u.id: u for u in recording.utterances}
    placed = [
        Placed(
            turn,
            utterances[turn.id].speaker,
            round(utterances[turn.id].start * 16000),
            round(utterances[turn.id].end * 16000),
            (),
        )
        for turn in dialogue.turns
    ]
    dialog = demo_corpus / "Session1" / "dialog"
    shipped = (dialog / "transcriptions" / f"{dialogue.name}.txt").read_text("latin-1")
    assert transcription(placed) == shipped
    shipped = (dialog / "EmoEvaluation" / f"{dialogue.name}.txt").read_text("latin-1")
    assert evaluation(placed, dialogue.name) == shipped


def test_speech_leaves_out_the_pauses_inside_a_turn(plan: list[DialoguePlan]) -> None:
    from components.conversation import SpeakerSegment, Word

    words = (Word("Well,", 1.0, 1.3), Word("I", 1.3, 1.4), Word("see.", 1.8, 2.0))
    turn = Placed(plan[0].turns[0], "A", 16000, 32000, words)
    assert speech([turn]) == [SpeakerSegment(1.0, 1.4, "A"), SpeakerSegment(1.8, 2.0, "A")]


def test_the_same_sound_makes_the_same_file(tmp_path: Path) -> None:
    import soundfile

    sound = np.sin(np.arange(48000) / 16000 * 2 * np.pi * 220).astype(np.float32) * 0.3
    write_ogg(tmp_path / "a.ogg", sound)
    write_ogg(tmp_path / "b.ogg", sound)
    assert (tmp_path / "a.ogg").read_bytes() == (tmp_path / "b.ogg").read_bytes()
    read, rate = soundfile.read(tmp_path / "a.ogg", dtype="float32")
    assert rate == 16000
    assert read.size == sound.size
    assert np.corrcoef(read, sound)[0, 1] > 0.99
