"""`moodline experiment` as people meet it: what it refuses, in one line, before any work."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.conversation import Recording, Utterance, write_manifest
from pipelines.cli.main import run

DEFAULT_LABELS = ("angry", "happy", "neutral", "sad")


@pytest.fixture
def recordings(tmp_path: Path) -> list[Recording]:
    """Three recordings of four utterances, a fold each."""
    soundfile.write(tmp_path / "noise.wav", np.zeros(16_000 * 9), 16_000)
    return [
        Recording(
            name, tmp_path / "noise.wav", f"week-{number}", None,
            tuple(
                Utterance(f"{name}-{i}", name, 2 * i, 2 * i + 1, "A", None, "so", emotion)
                for i, emotion in enumerate(DEFAULT_LABELS)
            ),
        )
        for number, name in enumerate(("one", "two", "three"))
    ]  # fmt: skip


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What one line says about the command's input."""
    assert run(["experiment", *map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_fold_without_an_emotion_is_named(
    capsys: pytest.CaptureFixture[str], recordings: list[Recording], tmp_path: Path
) -> None:
    glad = recordings[1].utterances
    recordings[1] = replace(recordings[1], utterances=tuple(u for u in glad if u.emotion != "sad"))
    write_manifest(tmp_path / "corpus", recordings)
    said = refused(capsys, "table1", "--corpus", tmp_path / "corpus")
    assert "fold week-1 has no utterance that is sad" in said


def test_too_few_folds_are_counted(
    capsys: pytest.CaptureFixture[str], recordings: list[Recording], tmp_path: Path
) -> None:
    write_manifest(tmp_path / "corpus", recordings[:2])
    said = refused(capsys, "all", "--corpus", tmp_path / "corpus")
    assert "2 folds (week-0, week-1)" in said
    assert "at least 3" in said


def test_what_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "table5" in refused(capsys, "table5")
    assert "gone: no such folder" in refused(capsys, "table1", "--corpus", tmp_path / "gone")
    assert "papre: no such profile" in refused(capsys, "table1", "--profile", "papre")
    assert "--seeds" in refused(capsys, "table1", "--seeds", "0")


def test_a_profile_for_a_gpu_warns_where_there_is_none() -> None:
    code = (
        "import pipelines.cli.experiment as e\n"
        "from components.config import load_profile\n"
        "e._warn_without_gpu(load_profile('paper')); e._warn_without_gpu(load_profile('tiny'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert "profile paper is made for a GPU" in line
    assert "days" in line
