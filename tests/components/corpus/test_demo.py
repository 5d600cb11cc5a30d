"""The shipped demo corpus is what its README says, and its truth agrees with its labels."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from components.conversation import (
    DEFAULT_LABELS,
    Recording,
    audio_duration,
    read_audio,
    read_rttm,
    read_words,
)
from components.corpus import check_corpus, read_corpus

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def recordings(demo_corpus: Path) -> list[Recording]:
    return read_corpus(demo_corpus)


def test_size(demo_corpus: Path) -> None:
    data = (path for path in demo_corpus.rglob("*") if path.suffix not in (".py", ".pyc"))
    files = [path for path in data if path.is_file() and path.parent.name != "make"]
    assert sum(path.stat().st_size for path in files) < 12 * MEGABYTE
    assert {path.suffix for path in files} <= {".ogg", ".txt", ".json", ".rttm", ".md"}


def test_counts(demo_corpus: Path, recordings: list[Recording]) -> None:
    report = check_corpus(demo_corpus)
    assert report.recordings == 20
    assert sum(report.emotions[emotion] for emotion in DEFAULT_LABELS) >= 260
    assert sum(n for emotion, n in report.emotions.items() if emotion not in DEFAULT_LABELS) >= 20
    assert 14 * 60 <= report.seconds <= 18 * 60
    assert set(report.folds) == {f"Session{n}" for n in range(1, 6)}
    for fold in report.folds:
        counts = Counter(u.emotion for r in recordings if r.fold == fold for u in r.utterances)
        assert min(counts[e] for e in DEFAULT_LABELS) >= 0.8 * max(
            counts[e] for e in DEFAULT_LABELS
        )
        assert {r.scripted for r in recordings if r.fold == fold} == {True, False}


def test_two_speakers_a_dialogue_a_woman_and_a_man(recordings: list[Recording]) -> None:
    for recording in recordings:
        assert {u.sex for u in recording.utterances} == {"F", "M"}
        assert recording.speakers == tuple(
            f"Ses{recording.fold.removeprefix('Session').zfill(2)}_{sex}" for sex in "FM"
        )


def test_every_speaker_has_a_voice_of_their_own(
    demo_corpus: Path, recordings: list[Recording]
) -> None:
    voices = json.loads((demo_corpus / "voices.json").read_text())
    assert set(voices) == {s for recording in recordings for s in recording.speakers}
    assert len(set(voices.values())) == len(voices), "the left-out session's voices are unheard"
    readme = (demo_corpus / "README.md").read_text()
    assert "synthetic" in readme.lower()
    assert all(voice in readme for voice in voices.values())


def test_pauses_and_overlaps(recordings: list[Recording]) -> None:
    overlaps = changes = repeats = 0
    for recording in recordings:
        latest = recording.utterances[0].end
        for before, utterance in pairwise(recording.utterances):
            gap = utterance.start - latest
            assert 0.2 - 1e-3 <= gap <= 2.5 + 1e-3 or -0.6 - 1e-3 <= gap <= -0.2 + 1e-3
            overlaps += gap < 0
            changes += utterance.speaker != before.speaker
            repeats += utterance.speaker == before.speaker
            latest = max(latest, utterance.end)
    assert 0.08 <= overlaps / changes <= 0.10
    assert repeats >= 10


def test_sound(recordings: list[Recording]) -> None:
    for recording in recordings:
        sound = read_audio(recording.audio)
        length = audio_duration(recording.audio)
        assert recording.utterances[-1].end < length < recording.utterances[-1].end + 1.5
        assert 35 <= length <= 70
        assert 0.05 < np.abs(sound).max() <= 1.0
        marked = np.zeros(sound.size, bool)
        for utterance in recording.utterances:
            marked[round(utterance.start * 16000) : round(utterance.end * 16000)] = True
        # There is speech where speech is marked, and a quiet room elsewhere.
        speech, room = (np.sqrt(np.mean(sound[part] ** 2)) for part in (marked, ~marked))
        assert speech > 10 * room


def test_truth_agrees_with_the_labels(demo_corpus: Path, recordings: list[Recording]) -> None:
    for recording in recordings:
        segments = read_words(demo_corpus / "truth" / f"{recording.name}.json")
        assert len(segments) == len(recording.utterances)
        by_time = sorted(segments, key=lambda s: s.start)
        spoken = read_rttm(demo_corpus / "truth" / f"{recording.name}.rttm")[recording.name]
        for utterance, segment in zip(recording.utterances, by_time, strict=True):
            assert utterance.text == segment.text == " ".join(w.text for w in segment.words)
            times = [t for w in segment.words for t in (w.start, w.end)]
            assert times == sorted(times)
            assert times[0] == pytest.approx(utterance.start, abs=2e-3)
            assert times[-1] == pytest.approx(utterance.end, abs=2e-3)
            for word in segment.words:
                assert word.speaker == utterance.speaker
                assert any(
                    s.speaker == word.speaker
                    and s.start - 1e-3 <= word.start <= word.end <= s.end + 1e-3
                    for s in spoken
                )
        assert {s.speaker for s in spoken} == set(recording.speakers)


def test_words_are_where_the_truth_says(demo_corpus: Path, recordings: list[Recording]) -> None:
    """The sound inside words is louder than in the pauses of 0.1 s and more between them."""
    inside, between = [], []
    for recording in recordings[::2]:
        sound = read_audio(recording.audio)
        for segment in read_words(demo_corpus / "truth" / f"{recording.name}.json"):
            for word, following in pairwise(segment.words):
                inside.append(_level(sound, word.start, word.end))
                if following.start - word.end >= 0.1:
                    between.append(_level(sound, word.end, following.start))
    assert len(between) >= 10
    assert np.median(inside) > np.median(between) + 15


def _level(sound: np.ndarray, start: float | None, end: float | None) -> float:
    assert start is not None and end is not None
    part = sound[round(start * 16000) : round(end * 16000)]
    return float(10 * np.log10(np.mean(part**2) + 1e-10))


def test_emotion_is_in_the_voice(recordings: list[Recording]) -> None:
    """Anger is louder and faster than sadness in every session, but neighbours overlap."""
    for fold in {recording.fold for recording in recordings}:
        level: dict[str, list[float]] = {emotion: [] for emotion in DEFAULT_LABELS}
        rate: dict[str, list[float]] = {emotion: [] for emotion in DEFAULT_LABELS}
        for recording in recordings:
            if recording.fold != fold:
                continue
            sound = read_audio(recording.audio)
            for u in recording.utterances:
                if u.emotion in DEFAULT_LABELS:
                    level[u.emotion].append(_level(sound, u.start, u.end))
                    rate[u.emotion].append(len(u.text) / (u.end - u.start))
        assert np.mean(level["angry"]) > np.mean(level["sad"]) + 3
        assert np.mean(rate["angry"]) > 1.15 * np.mean(rate["sad"])
        assert max(level["happy"]) > min(level["angry"]), "loudness alone must not tell"
        assert max(rate["neutral"]) > min(rate["happy"]), "nor the rate"
