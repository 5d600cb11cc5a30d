"""The shipped conversations are what their README says; their truth agrees with their labels."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from components.conversation import (
    DEFAULT_LABELS,
    Recording,
    Turn,
    audio_duration,
    read_audio,
    read_rttm,
    read_turns,
    read_words,
)
from components.corpus import check_corpus, read_corpus
from components.corpus.talks.make.plan import build_plan
from components.corpus.talks.make.shares import shares
from components.corpus.talks.make.synthesize import VOICES
from tests.components.corpus.talks.test_make import README, ROWS

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def recordings(talks_corpus: Path) -> list[Recording]:
    return read_corpus(talks_corpus)


def test_size(demo_corpus: Path, talks_corpus: Path) -> None:
    files = [p for folder in (demo_corpus, talks_corpus) for p in folder.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files if "__pycache__" not in p.parts) < 15 * MEGABYTE


def test_counts(talks_corpus: Path, recordings: list[Recording]) -> None:
    report = check_corpus(talks_corpus)
    assert report.recordings == 20
    assert report.synthetic
    assert report.emotions["unlabelled"] == 80
    assert not report.findings
    for fold in (f"Session{number}" for number in range(1, 6)):
        own = [r for r in recordings if r.fold == fold]
        assert [len(r.speakers) for r in own] == [2, 3, 2, 3]
        counts = Counter(u.emotion for r in own for u in r.utterances)
        assert min(counts[e] for e in DEFAULT_LABELS) >= 6


def test_it_is_said_as_planned(recordings: list[Recording]) -> None:
    said = {r.name: [u.text for u in r.utterances if u.emotion in DEFAULT_LABELS]
            for r in recordings}  # fmt: skip
    assert said == {d.name: [turn.text for turn in d.turns] for d in build_plan()}


def test_no_voice_is_in_two_sessions(talks_corpus: Path, recordings: list[Recording]) -> None:
    voices = json.loads((talks_corpus / "voices.json").read_text())
    assert voices == VOICES
    assert {s for r in recordings for s in r.speakers} == set(voices)
    heard = {(voices[s], r.fold) for r in recordings for s in r.speakers}
    assert len(heard) == len(set(voices.values()))


def test_it_goes_as_its_readme_says(talks_corpus: Path) -> None:
    references = sorted((talks_corpus / "reference").glob("*.json"))
    reached = shares([read_turns(path) for path in references])
    lines = README.read_text().splitlines()
    for name, begins in ROWS.items():
        (line,) = (line for line in lines if line.startswith(f"| {begins}"))
        said = line.split("|")[-2]
        value = reached[name] * 100 if "%" in said else reached[name]
        assert value == pytest.approx(float(said.split()[0]), abs=0.06), name


def test_turns_and_sentences_do_not_coincide(recordings: list[Recording]) -> None:
    """In the demo corpus every turn is one sentence; here nearly half of them are not."""
    turns = [u.text for r in recordings for u in r.utterances if u.emotion in DEFAULT_LABELS]
    whole = sum(text[-1] in ".!?" and sum(text.count(mark) for mark in ".!?") == 1
                for text in turns)  # fmt: skip
    assert whole < 0.6 * len(turns)


def test_sound(recordings: list[Recording]) -> None:
    for recording in recordings:
        sound = read_audio(recording.audio)
        last = max(u.end for u in recording.utterances)
        assert last < audio_duration(recording.audio) < last + 1.5
        assert 0.05 < np.abs(sound).max() <= 1.0
        marked = np.zeros(sound.size, bool)
        for utterance in recording.utterances:
            marked[round(utterance.start * 16000) : round(utterance.end * 16000)] = True
        speech, room = (np.sqrt(np.mean(sound[part] ** 2)) for part in (marked, ~marked))
        assert speech > 5 * room


def test_truth_agrees_with_the_labels(talks_corpus: Path, recordings: list[Recording]) -> None:
    for recording in recordings:
        segments = read_words(talks_corpus / "truth" / f"{recording.name}.json")
        spoken = read_rttm(talks_corpus / "truth" / f"{recording.name}.rttm")[recording.name]
        assert {s.speaker for s in spoken} == set(recording.speakers)
        for utterance, segment in zip(recording.utterances, segments, strict=True):
            assert utterance.text == segment.text
            assert {word.speaker for word in segment.words} == {utterance.speaker}


def test_pauses_inside_turns_are_no_speech(talks_corpus: Path, recordings: list[Recording]) -> None:
    """Sound where nobody speaks, by the truth, is quieter than words by far."""
    inside, between = [], []
    for recording in recordings[::3]:
        sound = read_audio(recording.audio)
        path = talks_corpus / "truth" / f"{recording.name}"
        spoken = read_rttm(path.with_suffix(".rttm"))[recording.name]
        ends = 0.0
        for segment in sorted(spoken, key=lambda s: s.start):
            if segment.start - ends > 0.3:
                between.append(level(sound, ends, segment.start))
            ends = max(ends, segment.end)
        for words in (s.words for s in read_words(path.with_suffix(".json"))):
            inside += [level(sound, float(w.start or 0), float(w.end or 0)) for w in words]
    assert len(between) >= 20
    assert np.median(inside) > np.median(between) + 15


def level(sound: np.ndarray, start: float, end: float) -> float:
    part = sound[round(start * 16000) : round(end * 16000)]
    return float(10 * np.log10(np.mean(part**2) + 1e-10))


def test_emotion_rises_in_a_turn(talks_corpus: Path, recordings: list[Recording]) -> None:
    """The last sentence of an angry turn is louder than its first one."""
    risen = []
    for recording in recordings:
        sound = read_audio(recording.audio)
        segments = read_words(talks_corpus / "truth" / f"{recording.name}.json")
        for utterance, segment in zip(recording.utterances, segments, strict=True):
            ends = [i for i, w in enumerate(segment.words) if w.text[-1] in ".!?"]
            if utterance.emotion == "angry" and len(ends) > 1:
                first, last = segment.words[: ends[0] + 1], segment.words[ends[-2] + 1 :]
                both = [level(sound, part[0].start, part[-1].end) for part in (first, last)]
                risen.append(both[1] - both[0])
    assert len(risen) >= 8
    assert np.mean(risen) > 2


def test_changes_overlap(recordings: list[Recording]) -> None:
    for recording in recordings:
        floor = [u for u in recording.utterances if u.emotion in DEFAULT_LABELS]
        changes = [(a, b) for a, b in pairwise(floor) if a.speaker != b.speaker]
        assert any(b.start < a.end for a, b in changes), recording.name


def test_turns_are_a_references(talks_corpus: Path) -> None:
    turns = read_turns(talks_corpus / "reference" / "Talk1_two1.json")
    assert all(isinstance(turn, Turn) and turn.session_id == "Talk1_two1" for turn in turns)
