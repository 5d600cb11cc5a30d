"""Whatever is wrong with what was asked is one line on standard error, with exit status 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli.main import run

WORD = {"word": "hello", "start": 0.0, "end": 0.5}
WORDS = {"segments": [{"start": 0.0, "end": 1.0, "text": "hello", "words": [WORD]}]}
RTTM = "SPEAKER call 1 0 1 <NA> <NA> A <NA> <NA>\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with words and speakers that can be aligned."""
    (tmp_path / "words.json").write_text(json.dumps(WORDS))
    (tmp_path / "call.rttm").write_text(RTTM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def refused(place: Path, capfd: pytest.CaptureFixture[str]):
    """Runs a command that must say one line, and leave nothing behind."""

    def command(*arguments: object) -> str:
        before = sorted(place.rglob("*"))
        capfd.readouterr()
        status = run([str(argument) for argument in arguments])
        told = capfd.readouterr()
        assert (status, told.out) == (2, ""), told
        assert told.err.startswith("moodline: ")
        assert told.err.count("\n") == 1, told.err
        assert sorted(place.rglob("*")) == before
        return told.err

    return command


ALIGN = ("align", "words.json", "call.rttm", "-o")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "is a folder; name a file"),
        (".", "is a folder; name a file"),
        ("/proc/turns.json", "cannot be written"),
        ("n" * 300, "cannot be written: file name too long"),
        ("words.json/turns.json", "cannot be written: not a directory"),
    ],
)
def test_an_output_that_cannot_be_written(refused, output: str, message: str) -> None:
    assert message in refused(*ALIGN, output)
    assert message in refused("drift", "--prom", output)
    assert message in refused("analyze", "gone.wav", "-o", output)  # before anything is read


@pytest.mark.skipif(os.geteuid() == 0, reason="everything may be written by root")
def test_a_folder_that_is_somebody_else_s(place: Path, refused) -> None:
    (place / "theirs").mkdir(mode=0o500)
    assert "theirs/t.json: cannot be written: permission denied" in refused(*ALIGN, "theirs/t.json")


def test_a_dash_is_standard_output(place: Path) -> None:
    """Appended to what is in the file that standard output goes to, not in its place."""
    moodline = Path(sys.executable).with_name("moodline")
    with (place / "all.json").open("w") as opened:
        opened.write("before\n")
        opened.flush()
        subprocess.run([moodline, *ALIGN, "-"], stdout=opened, check=True)
        opened.write("\nafter")
    text = (place / "all.json").read_text()
    assert text.startswith("before\n[")
    assert text.endswith("]\nafter")
    assert json.loads(text[7:-6])[0]["words"] == "hello"
    assert not (place / "-").exists()


def test_a_line_break_in_a_name(refused) -> None:
    assert r"two\nlines.json: no such file" in refused("align", "two\nlines.json", "x", "-o", "t")
