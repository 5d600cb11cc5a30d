"""The command line as people and scripts meet it: output, errors and exit statuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.conversation import Turn, read_turns, write_rttm, write_turns
from components.conversation.types import SpeakerSegment
from pipelines.cli.lifecycle import batch_command
from pipelines.cli.main import ENDS

WORDS = {
    "segments": [
        {
            "start": 0.0,
            "end": 3.0,
            "text": "hello you two yes",
            "words": [
                {"word": "hello", "start": 0.0, "end": 0.5, "score": 0.9},
                {"word": "you", "start": 0.5, "end": 0.9},
                {"word": "2"},
                {"word": "yes", "start": 2.0, "end": 2.5, "score": 0.8},
            ],
        }
    ]
}


def moodline(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a process of its own."""
    command = [Path(sys.executable).with_name("moodline"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def one_line(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """The run said one clear line about wrong input, and nothing else."""
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("moodline: ")
    for part in parts:
        assert part in lines[0]
    assert done.stdout == ""


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "call.json"
    path.write_text(json.dumps(WORDS))
    return path


@pytest.fixture
def speakers(tmp_path: Path) -> Path:
    path = tmp_path / "call.rttm"
    write_rttm(path, "call7", [SpeakerSegment(0, 1.7, "A"), SpeakerSegment(1.9, 3, "B")])
    return path


def test_help_teaches_every_command() -> None:
    done = moodline("--help")
    assert done.returncode == 0
    assert "Exit status 0: done." in done.stdout
    for name in ("demo", "analyze", "transcribe", "diarize", "align", "score", "corpus",
                 "retrain", "experiment", "compile", "registry", "serve"):  # fmt: skip
        assert name in done.stdout
        inner = moodline(name, "--help")
        assert inner.returncode == 0
        assert "Usage" in inner.stdout


def test_align(words: Path, speakers: Path, tmp_path: Path) -> None:
    done = moodline("align", words, speakers, "-o", tmp_path / "turns.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    turns = read_turns(tmp_path / "turns.json")
    assert [(t.session_id, t.speaker, t.words) for t in turns] == [
        ("call7", "A", "hello you 2"),
        ("call7", "B", "yes"),
    ]


def test_align_options(words: Path, speakers: Path, tmp_path: Path) -> None:
    moodline("align", words, speakers, "-o", tmp_path / "t.json", "--baseline")
    assert [t.words for t in read_turns(tmp_path / "t.json")] == ["hello you 2 yes"]
    write_rttm(speakers, "call7", [SpeakerSegment(0, 3, "A")])
    words.write_text(json.dumps(WORDS).replace('"start": 2.0, "end": 2.5', '"start": 9, "end": 9'))
    moodline("align", words, speakers, "-o", tmp_path / "t.json", "--max-pause", "0")
    # with no pause allowed, the last word, far from all speech, stands alone
    assert [(t.speaker, t.words) for t in read_turns(tmp_path / "t.json")][-1] == ("unknown", "yes")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--max-pause", "never"], "--max-pause never: give seconds, from 0 to 3600, or auto"),
        (["--max-pause", "-1"], "--max-pause -1: give seconds, from 0 to 3600, or auto"),
        (["--baseline", "--method", "evidence"], "--baseline --method evidence: choose one"),
    ],
)
def test_align_refuses_options_in_one_line(
    options: list[str], says: str, words: Path, speakers: Path, tmp_path: Path
) -> None:
    done = moodline("align", words, speakers, "-o", tmp_path / "t.json", *options)
    assert (done.returncode, done.stderr) == (2, f"moodline: {says}\n")


def test_align_tells_of_times_that_cannot_be(words: Path, speakers: Path, tmp_path: Path) -> None:
    words.write_text(json.dumps(WORDS).replace('"end": 0.9', '"end": 0.4'))
    done = moodline("align", words, speakers, "-o", tmp_path / "t.json")
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == (
        f"{words}: 1 words or segments end before they start; these times are not used"
    )
    assert [t.words for t in read_turns(tmp_path / "t.json")] == ["hello you 2", "yes"]


def test_align_refuses_an_rttm_of_several_recordings(
    words: Path, speakers: Path, tmp_path: Path
) -> None:
    speakers.write_text(speakers.read_text() + "SPEAKER other 1 0 1 <NA> <NA> A <NA> <NA>\n")
    done = moodline("align", words, speakers, "-o", tmp_path / "turns.json")
    one_line(done, "call.rttm", "call7", "other")
    assert not (tmp_path / "turns.json").exists()


def test_align_with_nobody_speaking(words: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.rttm").touch()
    moodline("align", words, tmp_path / "empty.rttm", "-o", tmp_path / "turns.json")
    (turn,) = read_turns(tmp_path / "turns.json")
    assert (turn.session_id, turn.speaker, turn.words) == ("call", "unknown", "hello you 2 yes")


def test_score(tmp_path: Path) -> None:
    reference = [Turn("r", 0, 4, "F", "so it is", "sad"), Turn("r", 5, 9, "M", "oh no", "angry")]
    hypothesis = [Turn("r", 0, 4, "x", "so it is", "sad"), Turn("r", 5, 9, "y", "oh yes", "happy")]
    write_turns(tmp_path / "ref.json", reference)
    write_turns(tmp_path / "hyp.json", hypothesis)
    done = moodline("score", tmp_path / "ref.json", tmp_path / "hyp.json", "--json",
                    "--convention", "collar0")  # fmt: skip
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    assert scores["convention"] == "collar0"
    assert scores["teer"] == {
        "missed": 0, "false_alarm": 0, "confusion": 4, "total": 8, "rate": 0.5
    }  # fmt: skip
    assert scores["der"]["rate"] == 0
    assert scores["cpwer"] == {"errors": 1, "length": 5, "rate": 0.2}
    table = moodline("score", tmp_path / "ref.json", tmp_path / "hyp.json")
    assert "wu2023" in table.stdout
    assert "sTEER" in table.stdout


@pytest.mark.parametrize(
    "arguments", [("align", "gone.json", "gone.rttm", "-o", "x.json"), ("score", "a", "b"),
                  ("analyze", "gone.wav"), ("transcribe", "gone.wav", "-o", "w.json"),
                  ("diarize", "gone.wav", "-o", "s.rttm"), ("corpus", "check", "gone")],
)  # fmt: skip
def test_missing_files_are_one_line(arguments: tuple[str, ...]) -> None:
    one_line(moodline(*arguments))


def test_wrong_words_are_one_line(tmp_path: Path, speakers: Path) -> None:
    (tmp_path / "w.json").write_text('{"segments": [{"start": "two", "end": 3, "text": "a"}]}')
    done = moodline("align", tmp_path / "w.json", speakers, "-o", tmp_path / "t.json")
    one_line(done, "w.json", "segment 1", "not a number")


def test_wrong_options_exit_with_2() -> None:
    for arguments in (("analyse",), ("align",), ("score", "a", "b", "--convention", "best")):
        one_line(moodline(*arguments), "--help")


def test_no_command_shows_the_help() -> None:
    done = moodline()
    assert done.returncode == 2
    assert "analyze" in done.stdout + done.stderr


def test_bad_audio_is_one_line_before_any_model_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    one_line(moodline("analyze", tmp_path / "empty.wav"), "empty.wav", "is empty")
    (tmp_path / "text.wav").write_text("not a sound\n" * 100)
    one_line(moodline("analyze", tmp_path / "text.wav"), "text.wav", "is not audio")
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    (tmp_path / "b").mkdir()
    soundfile.write(tmp_path / "b" / "a.wav", np.zeros(16_000), 16_000)
    one_line(moodline("analyze", tmp_path / "a.wav", tmp_path / "b" / "a.wav"), "one name")
    one_line(moodline("analyze", tmp_path / "a.wav", "--profile", "domo"), "domo")


def test_channels_of_a_recording_that_has_one_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "mono.wav", np.zeros(16_000), 16_000)
    one_line(moodline("analyze", tmp_path / "mono.wav", "--channels"), "mono.wav: has one channel")
    soundfile.write(tmp_path / "same.wav", np.tile(np.sin(np.arange(16_000)), (2, 1)).T, 16_000)
    rttm = ("-o", tmp_path / "a.rttm", "--channels", "--profile", "tiny")
    one_line(moodline("diarize", tmp_path / "same.wav", *rttm), "the same sound in all 2")
    asked = (tmp_path / "same.wav", "--channels", "--num-speakers", "2")
    one_line(moodline("analyze", *asked), "channels: each is a speaker")


@pytest.mark.parametrize(
    ("speaker", "line"),
    [
        ("Ann", "write NAME=FILE"),
        ("Ann=", "write NAME=FILE"),
        ("Ann=gone.wav", "gone.wav: no such file"),
        ("SPEAKER_00=gone.wav", "take letters"),
    ],
)
def test_samples_of_voices_that_cannot_be_taken(speaker: str, line: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    one_line(moodline("analyze", tmp_path / "a.wav", "--speaker", speaker), line)


def test_corpus_check_says_what_is_odd(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "call.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    entry = {"session_id": "call", "start_time": 0, "end_time": 1, "speaker": "A", "words": "no"}
    (tmp_path / "call.json").write_text(json.dumps([entry | {"emotion": "Angry"}]))
    row = {"recording": "call", "audio": "call.wav", "reference": "call.json", "fold": "one"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row))
    done = moodline("corpus", "check", tmp_path)
    assert done.returncode == 1
    missing, unknown = done.stderr.splitlines()
    assert "labels that are not scored: Angry" in missing
    assert "the label 'Angry', of 1 utterances, is neither listed nor mapped" in unknown
    assert "Angry 1" in done.stdout


def test_corpus_check_finds_utterances_without_length(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "call.wav", np.zeros(16_000), 16_000)
    entry = {"session_id": "call", "speaker": "A", "words": "no"}
    entries = [
        entry | {"start_time": n / 8, "end_time": n / 8 + 0.1 * (n > 0), "emotion": emotion}
        for n, emotion in enumerate(["angry", "happy", "neutral", "sad"])
    ]
    (tmp_path / "call.json").write_text(json.dumps(entries))
    row = {"recording": "call", "audio": "call.wav", "reference": "call.json", "fold": "one"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row))
    done = moodline("corpus", "check", tmp_path)
    assert done.returncode == 1
    assert done.stderr == "call: utterance call_0001 ends where it begins, at 0.00 s\n"


def test_corpus_check(demo_corpus: Path) -> None:
    done = moodline("corpus", "check", demo_corpus, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["recordings"] >= 10
    table = moodline("corpus", "check", demo_corpus)
    assert "Session5" in table.stdout


def test_a_reader_that_goes_away_is_no_fault() -> None:
    command = f"{Path(sys.executable).with_name('moodline')} --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in {"0", "141"}
    assert "Traceback" not in done.stderr


def test_the_help_and_the_readme_say_the_same_of_batch() -> None:
    """Files that are left out by their names change no exit status."""
    said = "`batch` left out a recording that it could not read"
    for text in (ENDS, batch_command.__doc__ or ""):
        assert said in " ".join(text.split())
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    assert f"| 1 | a gate or a check said no, or {said} |" in readme
