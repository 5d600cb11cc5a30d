"""A corpus becomes a file of RTTM; what was done is not done again."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from kfp import dsl

from components.align import align
from components.base import InputError
from components.config import DiarizeStep, Settings, load_profile
from components.conversation import (
    EXCLUSIVE,
    SAMPLE_RATE,
    SCORES,
    SPEAKERS,
    TRANSCRIPTS,
    Document,
    Recording,
    SpeakerSegment,
    Turn,
    Utterance,
    parse_frame_scores_text,
    parse_rttm,
    read_documents,
    read_words,
    words_text,
    write_documents,
    write_manifest,
)
from components.diarize import diarize_corpus
from components.diarize.component import diarize
from components.diarize.corpus import _loaded
from components.scoring import word_speakers

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.models


def documents(path: Path, kind: str = SPEAKERS) -> dict[str, str]:
    return dict(read_documents(path, kind))


def heard(path: Path, kind: str = SPEAKERS, name: str = "talk") -> list[SpeakerSegment]:
    return parse_rttm(documents(path, kind)[name], name)[name]


def cut_into(folder: Path, audio: np.ndarray, count: int, seconds: int) -> list[Recording]:
    """Recordings talk0, talk1, … of some seconds each, one after the other in the audio."""
    recordings = []
    for number in range(count):
        path = folder / f"talk{number}.wav"
        part = audio[number * seconds * SAMPLE_RATE : (number + 1) * seconds * SAMPLE_RATE]
        soundfile.write(path, part, SAMPLE_RATE)
        recordings.append(Recording(path.stem, path, "fold", None, ()))
    return recordings


def test_a_killed_run_goes_on_and_a_second_one_takes_all_from_the_cache(
    dialogue: tuple[np.ndarray, list[SpeakerSegment]],
    models_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # one recording at a time
    recordings = cut_into(tmp_path, dialogue[0], 2, seconds=8)
    profile = load_profile("tiny")
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    out = tmp_path / "out"

    def killed(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diarize_corpus(recordings, out, profile, settings, killed)
    assert not out.exists()
    first = list((tmp_path / "cache").rglob("*.rttm"))
    made = [path.stat().st_mtime_ns for path in first]
    assert len(first) == 3

    steps: list[tuple[int, int]] = []
    count = diarize_corpus(recordings, out, profile, settings, lambda *step: steps.append(step))
    assert (count, steps) == (2, [(1, 2), (2, 2)])
    assert [path.stat().st_mtime_ns for path in first] == made
    assert heard(out, name="talk1")
    for kind in (SPEAKERS, EXCLUSIVE):
        assert list(documents(out, kind)) == ["talk0", "talk1"]

    # Marked, so that what comes from the cache can be told from what is done again.
    for cached in (tmp_path / "cache").rglob("*.rttm"):
        cached.write_text("; marked\n")
    diarize_corpus(recordings, tmp_path / "again", profile, settings)
    for kind in (SPEAKERS, EXCLUSIVE):
        assert set(documents(tmp_path / "again", kind).values()) == {"; marked\n"}


def test_shards_in_one_process_load_the_pipeline_once_and_give_what_the_whole_gives(
    dialogue: tuple[np.ndarray, list[SpeakerSegment]], models_home: Path, tmp_path: Path
) -> None:
    recordings = cut_into(tmp_path, dialogue[0], 3, seconds=5)
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    before = _loaded.cache_info().misses
    for index in range(2):
        out = tmp_path / f"shard{index}"
        diarize_corpus(recordings, out, load_profile("tiny"), settings, shard=(index, 2))
    assert _loaded.cache_info().misses == before + 1
    shards = [documents(tmp_path / f"shard{number}") for number in (0, 1)]
    assert list(map(list, shards)) == [["talk0", "talk2"], ["talk1"]]
    # The whole takes all from the cache: it needs no model.
    diarize_corpus(recordings, tmp_path / "whole", load_profile("tiny"), settings)
    assert documents(tmp_path / "whole") == shards[0] | shards[1]


def test_overlap_is_kept_where_it_is_scored_and_gone_where_words_are_given_to_speakers(
    dialogue: tuple[np.ndarray, list[SpeakerSegment]], models_home: Path, tmp_path: Path
) -> None:
    audio, _ = dialogue
    first, second = audio[: 8 * SAMPLE_RATE], audio[8 * SAMPLE_RATE : 16 * SAMPLE_RATE]
    path = tmp_path / "talk.wav"
    soundfile.write(path, np.concatenate([first, second, first + second]), SAMPLE_RATE)
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    recording = Recording("talk", path, "fold", None, ())
    diarize_corpus([recording], tmp_path / "out", load_profile("tiny"), settings)
    scored = heard(tmp_path / "out")
    for_words = heard(tmp_path / "out", EXCLUSIVE)
    scores = documents(tmp_path / "out", SCORES)["talk"]
    kept = parse_frame_scores_text(scores, "scores", "talk", for_words)
    assert kept is not None
    assert set(kept.speakers) == {s.speaker for s in scored}
    assert 24 < len(kept.activity) * kept.step < 31  # a chunk may reach behind the end
    lengths = kept.inside(np.zeros(1), np.full(1, 24.0))
    for speaker in kept.speakers:  # what is heard is what was decided, by and large
        decided = sum(s.end - s.start for s in scored if s.speaker == speaker)
        assert lengths[speaker][0] == pytest.approx(decided, rel=0.25)
    assert any(b.start < a.end for a, b in pairwise(scored))
    assert all(b.start >= a.end - 1e-6 for a, b in pairwise(for_words))


def test_reference_boundaries_take_the_place_of_what_the_pipeline_hears(
    dialogue: tuple[np.ndarray, list[SpeakerSegment]],
    models_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio, truth = dialogue
    path = tmp_path / "talk.wav"
    soundfile.write(path, audio[: 20 * SAMPLE_RATE], SAMPLE_RATE)
    spoken = [segment for segment in truth if segment.end < 20]

    def recording(shift: float, names: str) -> Recording:
        utterances = tuple(
            Utterance(str(n), "talk", s.start + shift, s.end, names[n % 2], None, "", "sad")
            for n, s in enumerate(spoken)
        )
        return Recording("talk", path, "fold", None, utterances)

    profile = load_profile("tiny").model_copy(update={"segmentation": "reference"})
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    diarized = []
    for number, given in enumerate([recording(0, "AB"), recording(0, "BA"), recording(0.1, "AB")]):
        diarize_corpus([given], tmp_path / str(number), profile, settings)
        diarized.append(heard(tmp_path / str(number)))
    assert [s.start for s in diarized[0]] == pytest.approx([s.start for s in spoken])
    assert [s.end for s in diarized[0]] == pytest.approx([s.end for s in spoken])
    assert diarized[1] == diarized[0], "who speaks in the reference is not looked at"
    assert [s.start for s in diarized[2]] == pytest.approx([s.start + 0.1 for s in spoken])
    # other boundaries are other work, other labels are not
    assert len(list((tmp_path / "cache").rglob("*.rttm"))) == 2 * 3

    # As a step of the pipeline, which is given these two parts of a profile and no other.
    write_manifest(tmp_path / "manifest", [recording(0, "AB")])
    speakers = dsl.Dataset(uri=str(tmp_path / "step"))
    monkeypatch.setenv("MOODLINE_MODELS", str(models_home))
    monkeypatch.setenv("MOODLINE_CACHE", str(settings.cache))
    diarize.python_func(
        corpus=dsl.Dataset(uri=str(tmp_path / "manifest")),
        shard="0/1",
        models="",
        profile=DiarizeStep.of(profile).model_dump_json(),
        speakers=speakers,
    )
    assert heard(tmp_path / "step") == diarized[0]
    assert speakers.metadata == {"shard": "0/1", "recordings": 1}

    silent = Recording("silent", path, "fold", None, ())
    with pytest.raises(InputError, match="silent: has no reference utterances"):
        diarize_corpus([silent], tmp_path / "none", profile, settings)


KILLED = """
import sys
from pathlib import Path
from components.conversation import Recording
from components.diarize import diarize_corpus
from components.config import Settings, load_profile

folder, models = map(Path, sys.argv[1:])
recordings = [Recording(f"talk{n}", folder / f"talk{n}.wav", "fold", None, ()) for n in range(3)]
settings = Settings(models=models, cache=folder / "cache")
diarize_corpus(recordings, folder / "out", load_profile("tiny"), settings)
"""


def test_a_process_killed_in_the_middle_of_a_conversation(
    dialogue: tuple[np.ndarray, list[SpeakerSegment]], models_home: Path, tmp_path: Path
) -> None:
    audio, out, cache = dialogue[0], tmp_path / "out", tmp_path / "cache"
    lengths = {"talk0": 4, "talk1": 20, "talk2": 4}  # the second takes longest: it is hit
    recordings = []
    for name, seconds in lengths.items():
        soundfile.write(tmp_path / f"{name}.wav", audio[: seconds * SAMPLE_RATE], SAMPLE_RATE)
        recordings.append(Recording(name, tmp_path / f"{name}.wav", "fold", None, ()))
    arguments = [sys.executable, "-c", KILLED, str(tmp_path), str(models_home.resolve())]
    one_at_a_time = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(arguments, env=os.environ | one_at_a_time) as child:
        while not list(cache.glob(f"{EXCLUSIVE}/*/[!.]*.rttm")):
            assert child.poll() is None
            time.sleep(0.05)
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert not out.exists()
    left = list(cache.rglob("*.rttm"))
    assert sorted(path.parts[-3] for path in left) == [EXCLUSIVE, SCORES, SPEAKERS]
    made = [path.stat().st_mtime_ns for path in left]

    settings = Settings(models=models_home, cache=cache)
    diarize_corpus(recordings, out, load_profile("tiny"), settings)
    assert [path.stat().st_mtime_ns for path in left] == made
    assert all(heard(out, name=name) for name in lengths)


@pytest.mark.models
def test_with_the_words_each_sentence_is_heard_again(
    talks_corpus: Path, models_home: Path, tmp_path: Path
) -> None:
    """Synthetic speech of two who cut into each other: fewer words are another's afterwards."""
    name, words = "Talk2_two1", tmp_path / "words"
    spoken = read_words(talks_corpus / f"truth/{name}.json")
    truth = [word for segment in spoken for word in segment.words]
    segments = [
        replace(segment, words=tuple(replace(word, speaker=None) for word in segment.words))
        for segment in spoken
    ]
    write_documents(words, [Document(name, TRANSCRIPTS, words_text(segments))])
    recording = Recording(name, talks_corpus / f"audio/{name}.ogg", "fold", None, ())
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    profile, wrong = load_profile("demo"), []
    for transcripts in (None, words):
        out = tmp_path / f"with {transcripts is not None}"
        diarize_corpus([recording], out, profile, settings, transcripts=transcripts)
        exclusive = heard(out, EXCLUSIVE, name)
        scores = documents(out, SCORES)[name]
        assert parse_frame_scores_text(scores, "scores", name, exclusive) is not None
        turns = align(segments, exclusive, session_id=name, method="evidence")
        reference = [Turn(name, w.start, w.end, str(w.speaker), w.text) for w in truth]
        wrong.append(word_speakers(reference, turns, range(len(truth))).errors.errors)
    assert wrong[1] < wrong[0]
    with pytest.raises(InputError, match="no words of other; transcribe again"):
        other = replace(recording, name="other")
        diarize_corpus([other], tmp_path / "none", profile, settings, transcripts=words)
