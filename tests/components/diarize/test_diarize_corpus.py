"""A corpus becomes a folder of RTTM; what was done is not done again."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from kfp import dsl

from components.base import InputError
from components.config import DiarizeStep, Settings, load_profile
from components.conversation import (
    EXCLUSIVE,
    SAMPLE_RATE,
    Recording,
    SpeakerSegment,
    Utterance,
    read_rttm,
    write_manifest,
)
from components.diarize import diarize_corpus
from components.diarize.component import diarize
from components.diarize.corpus import _loaded

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.models


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
    dialogue: tuple[np.ndarray, list[SpeakerSegment]], models_home: Path, tmp_path: Path
) -> None:
    recordings = cut_into(tmp_path, dialogue[0], 2, seconds=8)
    profile = load_profile("demo")
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    out = tmp_path / "out"

    def killed(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diarize_corpus(recordings, out, profile, settings, killed)
    assert [path.name for path in out.glob("*.rttm")] == ["talk0.rttm"]
    first = (out / "talk0.rttm").stat().st_mtime_ns

    steps: list[tuple[int, int]] = []
    diarize_corpus(recordings, out, profile, settings, lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    assert (out / "talk0.rttm").stat().st_mtime_ns == first
    assert list(read_rttm(out / "talk1.rttm")) == ["talk1"]
    for folder in (out, out / EXCLUSIVE):
        assert {path.name for path in folder.glob("*.rttm")} == {"talk0.rttm", "talk1.rttm"}

    # Marked, so that what comes from the cache can be told from what is done again.
    for cached in (tmp_path / "cache").rglob("*.rttm"):
        cached.write_text("; marked\n")
    diarize_corpus(recordings, tmp_path / "again", profile, settings)
    again = list((tmp_path / "again").rglob("*.rttm"))
    assert len(again) == 4
    assert {path.read_text() for path in again} == {"; marked\n"}


def test_shards_in_one_process_load_the_pipeline_once_and_give_what_the_whole_gives(
    dialogue: tuple[np.ndarray, list[SpeakerSegment]], models_home: Path, tmp_path: Path
) -> None:
    recordings = cut_into(tmp_path, dialogue[0], 3, seconds=5)
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    before = _loaded.cache_info().misses
    for index in range(2):
        out = tmp_path / f"shard{index}"
        diarize_corpus(recordings, out, load_profile("demo"), settings, shard=(index, 2))
    assert _loaded.cache_info().misses == before + 1
    made = [sorted(path.stem for path in (tmp_path / f"shard{n}").glob("*.rttm")) for n in (0, 1)]
    assert made == [["talk0", "talk2"], ["talk1"]]
    # The whole takes all from the cache: it needs no model.
    diarize_corpus(recordings, tmp_path / "whole", load_profile("demo"), settings)
    for number, names in enumerate(made):
        for name in names:
            whole = (tmp_path / "whole" / f"{name}.rttm").read_text()
            assert (tmp_path / f"shard{number}" / f"{name}.rttm").read_text() == whole


def test_overlap_is_kept_where_it_is_scored_and_gone_where_words_are_given_to_speakers(
    dialogue: tuple[np.ndarray, list[SpeakerSegment]], models_home: Path, tmp_path: Path
) -> None:
    audio, _ = dialogue
    first, second = audio[: 8 * SAMPLE_RATE], audio[8 * SAMPLE_RATE : 16 * SAMPLE_RATE]
    path = tmp_path / "talk.wav"
    soundfile.write(path, np.concatenate([first, second, first + second]), SAMPLE_RATE)
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    recording = Recording("talk", path, "fold", None, ())
    diarize_corpus([recording], tmp_path / "out", load_profile("demo"), settings)
    scored = read_rttm(tmp_path / "out" / "talk.rttm")["talk"]
    for_words = read_rttm(tmp_path / "out" / EXCLUSIVE / "talk.rttm")["talk"]
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

    profile = load_profile("demo").model_copy(update={"segmentation": "reference"})
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    diarized = []
    for number, given in enumerate([recording(0, "AB"), recording(0, "BA"), recording(0.1, "AB")]):
        diarize_corpus([given], tmp_path / str(number), profile, settings)
        diarized.append(read_rttm(tmp_path / str(number) / "talk.rttm")["talk"])
    assert [s.start for s in diarized[0]] == pytest.approx([s.start for s in spoken])
    assert [s.end for s in diarized[0]] == pytest.approx([s.end for s in spoken])
    assert diarized[1] == diarized[0], "who speaks in the reference is not looked at"
    assert [s.start for s in diarized[2]] == pytest.approx([s.start + 0.1 for s in spoken])
    # other boundaries are other work, other labels are not
    assert len(list((tmp_path / "cache").rglob("*.rttm"))) == 2 * 2

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
    assert read_rttm(tmp_path / "step" / "talk.rttm")["talk"] == diarized[0]
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
diarize_corpus(recordings, folder / "out", load_profile("demo"), settings)
"""


def test_a_process_killed_in_the_middle_of_a_conversation(
    dialogue: tuple[np.ndarray, list[SpeakerSegment]], models_home: Path, tmp_path: Path
) -> None:
    audio, out = dialogue[0], tmp_path / "out"
    lengths = {"talk0": 4, "talk1": 20, "talk2": 4}  # the second takes longest: it is hit
    recordings = []
    for name, seconds in lengths.items():
        soundfile.write(tmp_path / f"{name}.wav", audio[: seconds * SAMPLE_RATE], SAMPLE_RATE)
        recordings.append(Recording(name, tmp_path / f"{name}.wav", "fold", None, ()))
    arguments = [sys.executable, "-c", KILLED, str(tmp_path), str(models_home.resolve())]
    with subprocess.Popen(arguments, env=dict(os.environ, PYTHONPATH=str(ROOT))) as child:
        while not (out / EXCLUSIVE / "talk0.rttm").exists():
            assert child.poll() is None
            time.sleep(0.05)
        child.kill()
    assert child.returncode == -signal.SIGKILL
    left = sorted(path.name for path in out.rglob("*.rttm"))
    assert left == ["talk0.rttm", "talk0.rttm"]
    first = (out / "talk0.rttm").stat().st_mtime_ns

    settings = Settings(models=models_home, cache=tmp_path / "cache")
    diarize_corpus(recordings, out, load_profile("demo"), settings)
    assert (out / "talk0.rttm").stat().st_mtime_ns == first
    assert all(read_rttm(out / f"{name}.rttm") for name in lengths)
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
