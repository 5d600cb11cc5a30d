"""Whatever is wrong with what was asked is one line on standard error, with exit status 2."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from components.base import InputError
from components.conversation import FrameScores, SpeakerSegment, write_frame_scores
from pipelines.cli.main import run

WORD = {"word": "hello", "start": 0.0, "end": 0.5}
WORDS = {"segments": [{"start": 0.0, "end": 1.0, "text": "hello", "words": [WORD]}]}
RTTM = "SPEAKER call 1 0 1 <NA> <NA> A <NA> <NA>\n"


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with words and speakers that can be aligned."""
    (tmp_path / "words.json").write_text(json.dumps(WORDS))
    (tmp_path / "call.rttm").write_text(RTTM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def refused(workdir: Path, capfd: pytest.CaptureFixture[str]):
    """Runs a command that must say one line, and leave nothing behind."""

    def command(*arguments: object) -> str:
        before = sorted(workdir.rglob("*"))
        capfd.readouterr()
        status = run([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        assert (status, printed.out) == (2, ""), printed
        assert printed.err.startswith("moodline: ")
        assert printed.err.count("\n") == 1, printed.err
        assert sorted(workdir.rglob("*")) == before
        return printed.err

    return command


ALIGN = ("align", "words.json", "call.rttm", "-o")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (".", "is a folder; name a file"),
        ("/proc/turns.json", "cannot be written"),
        ("words.json/turns.json", "cannot be written: not a directory"),
    ],
)
def test_an_output_that_cannot_be_written(refused, output: str, message: str) -> None:
    assert message in refused(*ALIGN, output)
    assert message in refused("drift", "--prom", output)
    assert message in refused("analyze", "gone.wav", "-o", output)  # before anything is read


def test_frame_scores_that_do_not_fit(refused, workdir: Path) -> None:
    align = (*ALIGN, "t.json", "--scores", "s")
    assert "--scores goes with --method evidence" in refused(*align)
    assert "s: no such file" in refused(*align, "--method", "evidence")
    (workdir / "s").write_text("no scores")
    assert "s: holds no frame scores" in refused(*align, "--method", "evidence")
    frames = np.array([[255]] * 10, dtype=np.uint8)
    scores = FrameScores(("A",), 0.0, 0.1, frames)
    for recording, end, says in (
        ("call", 1.1, "do not fit the speaker segments of call"),
        ("meeting", 1.0, "are of meeting, not of call"),
    ):
        write_frame_scores(workdir / "s", scores, recording, [SpeakerSegment(0.0, end, "A")])
        assert says in refused(*align, "--method", "evidence")
    write_frame_scores(workdir / "s", scores, "call", [SpeakerSegment(0.0, 1.0, "A")])
    assert run([*align, "--method", "evidence"]) == 0


@pytest.mark.parametrize("output", ["/proc/folder", "words.json/folder"])
def test_a_folder_that_cannot_be_made(refused, output: str) -> None:
    assert "cannot be written: " in refused("feedback", "export", "-o", output)


def test_a_folder_that_is_somebody_else_s(refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "t.json")

    with monkeypatch.context() as changed:
        changed.setattr("tempfile.TemporaryFile", denied)  # root may write everywhere
        assert "t.json: cannot be written: permission denied" in refused(*ALIGN, "t.json")
    monkeypatch.setattr(Path, "write_text", denied)  # whatever else may not be written
    assert "moodline: t.json: permission denied" in refused(*ALIGN, "t.json")


def test_a_dash_is_standard_output(workdir: Path) -> None:
    """Appended to what is in the file that standard output goes to, not in its place."""
    moodline = Path(sys.executable).with_name("moodline")
    with (workdir / "all.json").open("w") as opened:
        opened.write("before\n")
        opened.flush()
        subprocess.run([moodline, *ALIGN, "-"], stdout=opened, check=True)
        opened.write("\nafter")
    text = (workdir / "all.json").read_text()
    assert text.startswith("before\n[")
    assert text.endswith("]\nafter")
    assert json.loads(text[7:-6])[0]["words"] == "hello"
    assert not (workdir / "-").exists()


def test_a_reader_that_leaves_before_the_end(workdir: Path) -> None:
    """Unlike at the end of `moodline … | head`, a file that was asked for is not there."""
    many = [WORD | {"start": at, "end": at + 0.5} for at in range(3_000)]
    (workdir / "words.json").write_text(json.dumps([{"start": 0, "end": 3_000, "words": many}]))
    os.mkfifo(workdir / "pipe.json")
    with subprocess.Popen(["head", "-c", "9", "pipe.json"], stdout=subprocess.DEVNULL):
        moodline = Path(sys.executable).with_name("moodline")
        done = subprocess.run(
            [moodline, *ALIGN, "pipe.json", "--max-pause", "0"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2, done
    assert done.stderr == "moodline: pipe.json: its reader closed it before the end\n"


def test_what_is_odd_and_no_mistake(workdir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A frame before the start, a word that is a number, our own name for nobody."""
    put("words.json", words(word=2024, start=-0.02))
    put("call.rttm", "SPEAKER call 1 -0.01 2 <NA> <NA> unknown <NA> <NA>\n")
    assert run([*ALIGN, "t.json"]) == 0
    (turn,) = json.loads((workdir / "t.json").read_text())
    assert (turn["words"], turn["speaker"], turn["start_time"]) == ("2024", "unknown", -0.02)
    assert "call.rttm: has a speaker named unknown" in capfd.readouterr().err


def test_a_line_break_in_a_name(refused) -> None:
    assert r"two\nlines.json: no such file" in refused("align", "two\nlines.json", "x", "-o", "t")


def put(name: str, content: object) -> str:
    """A file of that content, text or JSON."""
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content))
    return name


def words(**changes: object) -> object:
    """Words of which one is changed so."""
    return {"segments": [WORDS["segments"][0] | {"words": [WORD | changes]}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (words(word=None), "segment 1: word 1: 'word' is None, not a text"),
        (words(word={"a": 1}), "segment 1: word 1: 'word' is {'a': 1}, not a text"),
        (words(start=-5), "segment 1: word 1: 'start' is -5; it should be"),
        (words(start=True), "segment 1: word 1: 'start' is True, not a number"),
        ([{"start": -1, "end": 1, "text": "a"}], "segment 1: 'start' is -1; it should be greater"),
        ([{"start": 0, "end": 1, "text": 7}], "segment 1: 'text' is 7, not a text"),
        ([{"start": 0, "end": 1, "words": 7}], "segment 1: 'words' is 7, not a list"),
        ([7], "segment 1: is 7, not an object"),
    ],
)
def test_words_that_are_none(refused, content: object, message: str) -> None:
    assert f"w.json: {message}" in refused("align", put("w.json", content), "call.rttm", "-o", "t")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("HELLO WORLD", "line 2: is not RTTM"),
        ("\ufeffSPEAKER call 1 0 1 <NA> <NA> A", "line 2: is not RTTM"),
        ("SPEAKER call 1 -2 1 <NA> <NA> B", "B speaks at -2.0 s, before 0"),
    ],
)
def test_speakers_that_are_none(refused, line: str, message: str) -> None:
    put("s.rttm", f"{RTTM}{line}\n")
    assert f"s.rttm: {message}" in refused("align", "words.json", "s.rttm", "-o", "t.json")


TURN = {"session_id": "r", "start_time": 0, "end_time": 1, "speaker": "A", "words": ""}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([TURN | {"start_time": True}], "turn 1: 'start_time' is True, not a number"),
        ([TURN | {"confidence": True}], "turn 1: 'confidence' is True, not a number"),
        (
            [TURN | {"probabilities": {"sad": "1"}}],
            "turn 1: 'probabilities.sad' is '1', not",
        ),
        ([TURN | {"speaker": " "}], "turn 1: 'speaker' is ' ', not a name"),
        ('["\\ud800"]', "is not JSON: unexpected end of hex escape"),
        ('{"a": {"b": 1, "b": 2}}', "'b' is named twice in one object"),
        ("[" * 100_000, "is not JSON: recursion limit exceeded"),
        ([TURN | {"end_time": 10**400}], "turn 1: 'end_time' is 1000"),
        (f"[{'9' * 5000}]", "is not JSON: number out of range"),
    ],
)
def test_turns_that_are_none(refused, content: object, message: str) -> None:
    assert f"t.json: {message}" in refused("score", put("t.json", content), "t.json")


def test_a_folder_in_a_file_s_place(workdir: Path, refused) -> None:
    (workdir / "d").mkdir()
    assert "d: is a folder; name a file" in refused("align", "d", "call.rttm", "-o", "t.json")
    assert "d: is a folder; name a file" in refused("align", "words.json", "d", "-o", "t.json")
    assert "d: is a folder; name a file" in refused("score", "d", "d")


CHECK = {"name": "min_accuracy", "value": 0.7, "bound": "at least", "threshold": 0.4,
         "result": "pass", "says": "so it is"}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "is not a verdict: is [], not an object"),
        ({"checks": [CHECK]}, "is not a verdict: lacks 'verdict'"),
        (
            {"verdict": "pass", "model": "m", "checks": 3},
            "is not a verdict: 'checks' is 3, not",
        ),
        *(
            ({"verdict": "pass", "model": "m", "checks": [CHECK | change]}, message)
            for change, message in (
                ({"value": "high"}, "check 1: 'value' is 'high', not a number"),
                ({"threshold": None}, "check 1: 'threshold' is None, not a number"),
                ({"bound": "near"}, "check 1: 'bound' is 'near'; it should be"),
                ({"says": 1}, "check 1: 'says' is 1, not a text"),
                ({"more": 1}, "check 1: more: Unexpected"),
            )
        ),
        (f'{{"value": {"9" * 5000}}}', "is not JSON: number out of range"),
    ],
)
def test_verdicts_that_are_none(refused, content: object, message: str) -> None:
    assert message in refused("gate", put("verdict.json", content))


def test_a_gate_of_no_such_name(refused) -> None:
    assert "gone.json: no such file" in refused("gate", "gone.json")
    assert "file name too long" in refused("gate", "g" * 400)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: demo".encode("utf-16"), "is not a text file in UTF-8"),
        (b"name: " + b"[" * 5_000, "is nested too deeply"),
        (b"name: 2026-13-45", "is not YAML: month must be in 1..12"),
    ],
)
def test_profiles_that_are_none(workdir: Path, refused, content: bytes, message: str) -> None:
    (workdir / "p.yaml").write_bytes(content)
    assert f"p.yaml: {message}" in refused("compile", "--profile", "p.yaml", "-o", "x.yaml")


def test_settings_that_are_wrong(refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOODLINE_MAX_SECONDS", "long")
    assert "MOODLINE_MAX_SECONDS=long: " in refused("registry", "list")
    monkeypatch.setenv("MOODLINE_HOME", "words.json")
    assert "MOODLINE_HOME=words.json: is a file; name a folder" in refused("registry", "list")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("htp://bob:s3cr%40et@h", "is no address; an example: http://127.0.0.1:5000"),
        ("http://", "is no address"),
        ("nonsense", "is no address"),
        ("http://bob:s3cr@et@[::1", "is no address: invalid ipv6 url"),
        ("http://bob:s3cret@h:port", "is no address: port could not be cast"),
        ("postgresql://bob:s3cret@[::1/x", "is no database"),
        ("postgresql://bob:s3cret@h:port/x", "is no database"),
        ("mysql+pymysql://bob:s3cret@h/x", "no driver for mysql+pymysql is installed"),
        ("http://bob:s3cret@127.0.0.1:9", "http://bob:…@127.0.0.1:9: does not answer"),
    ],
)
def test_a_registry_s_address_that_is_none_shows_no_password(
    refused, monkeypatch: pytest.MonkeyPatch, address: str, message: str
) -> None:
    monkeypatch.setenv("MOODLINE_MLFLOW_URI", address)
    said = refused("registry", "list")
    assert message in said
    assert "s3cr" not in said and "et@" not in said


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("MOODLINE_FEEDBACK_URL", ("feedback", "show")),
        ("MOODLINE_TRIGGER_URL", ("trigger", "history")),
    ],
)
def test_a_database_s_address_that_is_none_shows_no_password(
    refused, monkeypatch: pytest.MonkeyPatch, name: str, command: tuple[str, ...]
) -> None:
    for address, message in (
        ("mysql://bob:s3cret@h/x", f"{name}=mysql://bob:…@h/x: no driver for mysql is installed"),
        ("postgresql://bob:s3cret@[::1/x", "is no database; an example: postgresql://user@host"),
        ("rubbish", "is no database"),
    ):
        monkeypatch.setenv(name, address)
        said = refused(*command)
        assert message in said
        assert "s3cret" not in said


def test_the_services_store_is_looked_at_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from serving.settings import ServeSettings

    monkeypatch.setenv("MOODLINE_SERVE_STORE", "mysql://bob:s3cret@h/x")
    with pytest.raises(InputError, match="MOODLINE_SERVE_STORE=mysql://bob:…@h/x: no driver for"):
        ServeSettings()


def test_a_reason_that_no_registry_keeps(refused) -> None:
    for command in (("registry", "promote", "1"), ("registry", "rollback"), ("retrain",)):
        said = refused(*command, "--reason", "x" * 6000)
        assert said == "moodline: the reason has 6000 characters; at most 4000\n"
    assert "needs a --reason" in refused("registry", "sign", "1", "--reason", " ")


def test_drift_windows_and_logs_that_are_none(refused) -> None:
    assert "--log typo: no such folder" in refused("drift", "--log", "typo")
    for options in (("--window", "999999999999d"), ("--until", "0001-01-01")):
        assert "would begin before the year 1" in refused("drift", *options)


def test_nothing_to_erase(refused) -> None:
    assert "nothing is kept of a recording of that name" in refused("log", "erase", "call")


def test_subtitles_hold_one_recording(refused) -> None:
    many = ("analyze", "gone.wav", "gone-too.wav")
    assert "WebVTT holds one recording" in refused(*many, "--format", "vtt")  # before any is read
    assert "SubRip holds one recording" in refused(*many, "--format", "srt")
