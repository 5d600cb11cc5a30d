"""What is odd in a recording is a line on standard error, before any model is loaded."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from pipelines.cli.main import run
from tests.sounds import beeps, packed, unpacked, written

SOUND = beeps(3)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Runs a command in a folder of its own: its exit status, its output, its lines of errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))

    def moodline(*arguments: str) -> tuple[int, str, list[str]]:
        capfd.readouterr()
        status = run(list(arguments))
        printed = capfd.readouterr()
        return status, printed.out, printed.err.splitlines()

    return moodline


def wild(folder: Path) -> dict[str, str]:
    """Files that can be heard, and what is to be told of each."""
    webm, mp3 = packed("webm", [SOUND]), packed("mp3", [SOUND])
    lying = bytearray(unpacked(SOUND))
    lying[40:44] = (8_000).to_bytes(4, "little")
    files = {
        "cut.webm": (webm[: len(webm) * 2 // 3], "is cut: its header announces 3.0"),
        "damaged.mp3": (mp3[:9_000] + bytes(1_000) + mp3[10_000:], "is damaged: sound is lost at"),
        "two.mkv": (packed("mkv", [SOUND, SOUND]), "has 2 tracks of sound; they are mixed"),
        "hole.mka": (packed("mka", [SOUND], hole=(1.0, 2.0)), "has no sound for a while"),
        "lying.wav": (bytes(lying), "is longer than it says: its header announces 0.25 s"),
        "upside.wav": (unpacked(np.column_stack([SOUND, -SOUND])), "has channels that cancel"),
        "fine.m4a": (packed("m4a", [SOUND]), ""),
    }
    for name, (content, _) in files.items():
        written(folder, name, content)
    return {name: line for name, (_, line) in files.items()}


@pytest.mark.parametrize("name", ["analyze", "transcribe", "diarize"])
def test_it_is_told(command, tmp_path: Path, name: str) -> None:
    told = wild(tmp_path)
    options = ["-o", "out"] if name != "analyze" else ["--model", "1"]
    recordings = list(told) if name == "analyze" else ["damaged.mp3"]
    status, out, lines = command(name, *recordings, *options)
    assert (status, out) == (2, "")  # there is no model in that home
    for recording in recordings:
        about = [line for line in lines if line.startswith(f"{recording}: ")]
        assert len(about) == bool(told[recording])
        assert not about or told[recording] in about[0]
    assert len(lines) == sum(bool(told[r]) for r in recordings) + 1


def write_corpus(folder: Path, names: Iterable[str], end: float = 1.4) -> None:
    """A manifest of the files, with an utterance in each that ends there."""
    rows = []
    for number, name in enumerate(names):
        recording = Path(name).stem
        entry = {
            "utterance_id": f"u{number}", "session_id": recording, "start_time": 0.2,
            "end_time": end, "speaker": f"s{number}", "words": "beep", "emotion": "neutral",
        }  # fmt: skip
        (folder / f"{recording}.json").write_text(json.dumps([entry]))
        row = {"recording": recording, "audio": name, "reference": f"{recording}.json"}
        rows.append(json.dumps(row | {"fold": f"fold{number % 2}"}) + "\n")
    (folder / "manifest.jsonl").write_text("".join(rows))


def test_corpus_check_counts_what_is_heard(command, tmp_path: Path) -> None:
    told = wild(tmp_path)
    write_corpus(tmp_path, told)
    status, out, lines = command("corpus", "check", ".", "--json")
    assert status == 1, lines
    findings = json.loads(out)["findings"]
    for name, line in told.items():
        about = [f for f in findings if f.startswith(f"{Path(name).stem}: ") and line in f]
        assert bool(about) == bool(line), (name, findings)
    write_corpus(tmp_path, ["damaged.mp3", "fine.m4a"], end=11.0)
    status, _, lines = command("corpus", "check", ".")
    assert status == 2
    assert "lasts 2." in lines[-1] and "is marked at 0.20–11.00" in lines[-1]


def test_a_folder_s_unreadable_files_are_named_and_do_not_stop_the_others(
    command, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    calls.mkdir()
    written(calls, "empty.wav", b"")
    written(calls, "code.ts", b"export const a = 1\n")
    told = ["left out: calls/code.ts: is not audio", "left out: calls/empty.wav: the file is empty"]
    batch = ("batch", "calls", "-o", "turns", "--profile", "paper")
    status, _, lines = command(*batch)
    assert [line[: len(start)] for line, start in zip(lines, told, strict=False)] == told
    assert (status, lines[2:]) == (2, ["moodline: calls: holds no recording that can be read"])
    written(calls, "two.mkv", packed("mkv", [SOUND, SOUND]))
    status, _, lines = command(*batch)
    assert [line[: len(start)] for line, start in zip(lines, told, strict=False)] == told
    assert "two.mkv: has 2 tracks" in lines[2]
    assert status == 2 and "nothing is in production" in lines[-1]  # it went on to the run
