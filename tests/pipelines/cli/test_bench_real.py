"""`make bench-real` without its data: one line that says what it wants, exit status 2."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.conversation import Recording, Utterance, write_manifest
from tests.real.__main__ import main
from tests.real.report import Number


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Data of the right form: three conversations with emotions, one meeting."""
    soundfile.write(tmp_path / "noise.wav", np.zeros(16_000 * 3), 16_000)
    said = Utterance("one", "one", 0.5, 1.5, "A", "F", "so", "sad")
    one = Recording("one", tmp_path / "noise.wav", "Session1", None, (said,))
    several = [
        replace(
            one, name=name, fold=f"Session{i}", utterances=(replace(said, id=name, recording=name),)
        )
        for i, name in enumerate(("one", "two", "three"))
    ]
    write_manifest(tmp_path / "real" / "ravdess", several)
    clips = tmp_path / "real" / "ami" / "clips"
    write_manifest(clips, [one])
    for name in ("rttm/one.rttm", "truth_words/one.json"):
        (clips / name).parent.mkdir(exist_ok=True)
        (clips / name).write_text("")
    return tmp_path / "real"


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["--collect-only"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_data_that_is_whole_is_measured(folder: Path) -> None:
    command = [sys.executable, "-m", "tests.real", "--collect-only"]
    done = subprocess.run(
        command, env=os.environ | {"MOODLINE_REAL_DATA": str(folder)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "test_emotions.py" in done.stdout


def test_no_data_says_what_is_wanted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MOODLINE_REAL_DATA", raising=False)
    line = refused(capsys)
    assert "MOODLINE_REAL_DATA is not set" in line
    assert "ravdess/" in line and "ami/clips/" in line
    monkeypatch.setenv("MOODLINE_REAL_DATA", str(folder / "gone"))
    assert "gone: no such folder" in refused(capsys)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("ravdess/manifest.jsonl", "ravdess"),
        ("ravdess/reference/two.json", "two"),
        ("ami/clips/truth_words/one.json", "one is not whole"),
        ("ami/clips/rttm/one.rttm", "one is not whole"),
    ],
)
def test_half_a_folder_names_what_is_missing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: str,
    said: str,
) -> None:
    monkeypatch.setenv("MOODLINE_REAL_DATA", str(folder))
    (folder / missing).unlink()
    line = refused(capsys)
    assert said in line and "no " in line


def test_a_number_stands_beside_chance_and_target() -> None:
    line = Number("real", "accuracy", 0.7, {"low": 0.6, "high": 0.8}, 0.25, 0.75, 0.78).line()
    for part in ("0.700", "[0.600 to 0.800]", "chance 0.25", "target 0.75: not met", "aim 0.78"):
        assert part in line
    assert "at most 0.08: met" in Number("real", "error", 0.05, target=0.08, better="low").line()
    assert "not measured" in Number("real", "accuracy", None, target=0.75).line()
