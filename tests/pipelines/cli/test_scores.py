"""`moodline score` on what people have: SegLST, RTTM, one of each."""

import json
from pathlib import Path

import pytest

from components.conversation import SpeakerSegment, Turn, write_rttm, write_turns
from pipelines.cli.main import run

REFERENCE = [Turn("r", 0, 4, "F", "so it is", "sad"), Turn("r", 5, 9, "M", "oh no", "angry")]
HYPOTHESIS = [Turn("r", 0, 4, "x", "so it is", "sad"), Turn("r", 5, 8, "y", "oh yes", "happy")]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Both sides in both formats."""
    paths = {name: tmp_path / name for name in ("ref.json", "hyp.json", "ref.rttm", "hyp.RTTM")}
    for name, turns in (("ref", REFERENCE), ("hyp", HYPOTHESIS)):
        write_turns(paths[f"{name}.json"], turns)
        rttm = paths["ref.rttm" if name == "ref" else "hyp.RTTM"]
        write_rttm(rttm, "r", [SpeakerSegment(t.start, t.end, t.speaker) for t in turns])
    return paths


def scored(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert run(["score", *map(str, arguments), "--json", "--convention", "collar0"]) == 0
    return json.loads(capsys.readouterr().out)


def test_seglst_gives_everything(
    capsys: pytest.CaptureFixture[str], files: dict[str, Path]
) -> None:
    scores = scored(capsys, files["ref.json"], files["hyp.json"], "--tcpwer")
    assert scores["teer"] == {
        "missed": 1, "false_alarm": 0, "confusion": 3, "total": 8, "rate": 0.5
    }  # fmt: skip
    # In 9 s, silence included, M's “angry” is taken for “happy” for 3 s and missed for 1 s.
    assert scores["eder"] == {
        "missed": 1, "false_alarm": 0, "confusion": 3, "overlap": 0, "total": 9, "rate": 4 / 9
    }  # fmt: skip
    assert scores["eera"] == {"confusion": 3, "agreed": 7, "rate": pytest.approx(3 / 7)}
    assert scores["seera"] == scores["eera"]
    assert scores["emotion_cpwer"] == {"errors": 4, "length": 5, "rate": 0.8}
    for name in ("cpwer", "tcpwer", "wer"):
        assert scores[name] == {"errors": 1, "length": 5, "rate": 0.2}


def test_what_is_scored_may_be_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, files: dict[str, Path]
) -> None:
    # “angry” is none of the two: 5–9 s are not scored.
    scores = scored(capsys, files["ref.json"], files["hyp.json"], "--labels", "sad, happy")
    assert (scores["teer"]["total"], scores["teer"]["rate"]) == (4, 0)
    assert scores["der"]["total"] == 8
    assert run(["score", *map(str, (files["ref.json"], files["hyp.json"])), "--labels", "sad"]) == 2
    assert "--labels: labels: names only 'sad'" in capsys.readouterr().err
    # A model of other labels names them in its probabilities.
    labels = ("bored", "sad")
    turns = [Turn("r", 0, 4, "x", "so it is").answered([0.9, 0.1], labels)]
    for name, emotion in (("own.json", "bored"), ("other.json", "angry")):
        write_turns(tmp_path / name, [Turn("r", 0, 4, "F", "so it is", emotion)])
        write_turns(tmp_path / "answers.json", turns)
        teer = scored(capsys, tmp_path / name, tmp_path / "answers.json")["teer"]
        assert teer["total"] == (4 if emotion == "bored" else 0)
    # Only the likeliest two of the default ones: those are scored all the same.
    few = [Turn("r", 0, 4, "x", "so it is").answered([0.9, 0.1], ("happy", "sad"))]
    write_turns(tmp_path / "answers.json", few)
    assert scored(capsys, tmp_path / "other.json", tmp_path / "answers.json")["teer"]["rate"] == 1


@pytest.mark.parametrize(
    "pair", [("ref.rttm", "hyp.RTTM"), ("ref.json", "hyp.RTTM"), ("ref.rttm", "hyp.json")]
)
def test_rttm_on_either_side_gives_what_needs_no_emotion(
    capsys: pytest.CaptureFixture[str], files: dict[str, Path], pair: tuple[str, str]
) -> None:
    scores = scored(capsys, *(files[name] for name in pair), "--tcpwer")
    assert scores["der"] == {"missed": 1, "false_alarm": 0, "confusion": 0, "total": 8,
                            "rate": 0.125}  # fmt: skip
    assert {name for name, part in scores.items() if part is None} == {
        "teer", "steer", "eder", "eera", "seera", "cpwer", "emotion_cpwer", "tcpwer", "wer",
    }  # fmt: skip


def test_the_table_says_what_is_not_there(
    capsys: pytest.CaptureFixture[str], files: dict[str, Path]
) -> None:
    assert run(["score", str(files["ref.rttm"]), str(files["hyp.json"])]) == 0
    printed = capsys.readouterr().out
    assert "wu2023" in printed
    assert "no emotions" in printed
    assert "no words" in printed
    assert "tcpWER" not in printed
    assert run(["score", str(files["ref.json"]), str(files["hyp.json"])]) == 0
    printed = capsys.readouterr().out
    for name in (
        "TEER",
        "sTEER",
        "EDER",
        "DER",
        "EERa",
        "sEERa",
        "cpWER",
        "cpWER, emotions",
        "WER",
    ):
        assert name in printed


def test_other_recordings_are_one_line(
    capsys: pytest.CaptureFixture[str], files: dict[str, Path], tmp_path: Path
) -> None:
    write_turns(tmp_path / "other.json", [Turn("call7", 0, 1, "A", "so", "sad")])
    assert run(["score", str(files["ref.json"]), str(tmp_path / "other.json")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.strip() == (
        "moodline: the hypothesis has recording call7, which the reference lacks; the reference"
        " has r. If nobody speaks in it, name it in a UEM (--uem)"
    )


def test_what_was_hardly_meant_is_told(
    capsys: pytest.CaptureFixture[str], files: dict[str, Path], tmp_path: Path
) -> None:
    odd = [*REFERENCE, Turn("r", 3, 3.5, "F", "and", "Sad")]
    write_turns(tmp_path / "odd.json", odd)
    assert run(["score", str(tmp_path / "odd.json"), str(files["hyp.json"])]) == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "odd.json: has the labels Sad, which are none of angry, happy" in said[0]
    assert "r: F begins a turn at 3.00 s, within their own that ends at 4.00 s" in said[1]
    run(["score", str(files["ref.json"]), str(files["hyp.json"])])
    assert capsys.readouterr().err == ""


class TestSilence:
    """A recording in which nobody speaks: what is heard in it is counted, not refused."""

    SILENCE = Turn("silence", 2, 5, "x", "thank you", "happy")

    def test_the_uem_names_silent_recordings(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        write_turns(tmp_path / "ref.json", REFERENCE)
        write_turns(tmp_path / "hyp.json", [*HYPOTHESIS, self.SILENCE])
        (tmp_path / "u.uem").write_text("r 1 0 10\nsilence 1 0 30\n")
        scores = scored(
            capsys, tmp_path / "ref.json", tmp_path / "hyp.json", "--uem", tmp_path / "u.uem"
        )
        assert scores["der"]["false_alarm"] == scores["teer"]["false_alarm"] == 3
        assert scores["cpwer"] == {"errors": 3, "length": 5, "rate": 0.6}
        assert scores["wer"]["errors"] == 3

    def test_silence_alone_has_false_alarms_and_no_rate(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        write_turns(tmp_path / "ref.json", [])
        write_turns(tmp_path / "hyp.json", [self.SILENCE])
        (tmp_path / "u.uem").write_text("silence 1 0 30\n")
        scores = scored(
            capsys, tmp_path / "ref.json", tmp_path / "hyp.json", "--uem", tmp_path / "u.uem"
        )
        assert (scores["der"]["false_alarm"], scores["der"]["rate"]) == (3, None)
        assert scores["teer"]["false_alarm"] == 3
        assert scores["wer"] == {"errors": 2, "length": 0, "rate": None}

    def test_without_a_uem_the_refusal_says_what_to_do(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        write_turns(tmp_path / "ref.json", REFERENCE)
        write_turns(tmp_path / "hyp.json", [self.SILENCE])
        assert run(["score", str(tmp_path / "ref.json"), str(tmp_path / "hyp.json")]) == 2
        assert "name it in a UEM" in " ".join(capsys.readouterr().err.split())


def test_text_without_spaces_is_counted_by_character_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_turns(tmp_path / "ref.json", [Turn("r", 0, 4, "F", "今日はいい天気")])
    write_turns(tmp_path / "hyp.json", [Turn("r", 0, 4, "F", "今日もいい天気")])
    assert run(["score", str(tmp_path / "ref.json"), str(tmp_path / "hyp.json"), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["cer"] == {
        "errors": 1,
        "length": 7,
        "rate": pytest.approx(1 / 7),
    }
    assert "read the character errors" in " ".join(printed.err.split())


def test_digits_on_one_side_are_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_turns(tmp_path / "ref.json", [Turn("r", 0, 4, "F", "forty-two cats")])
    write_turns(tmp_path / "hyp.json", [Turn("r", 0, 4, "F", "42 cats")])
    assert run(["score", str(tmp_path / "ref.json"), str(tmp_path / "hyp.json"), "--json"]) == 0
    assert "“42” and “forty-two” count as different" in " ".join(capsys.readouterr().err.split())


def test_letters_written_in_parts_are_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, words in (("parts", "cafe\u0301"), ("whole", "café"), ("plain", "cafe")):
        write_turns(tmp_path / f"{name}.json", [Turn("r", 0, 1, "A", words)])
    for pair, told in (("parts", "whole"), "reference"), (("whole", "parts"), "hypothesis"):
        assert run(["score", *(str(tmp_path / f"{name}.json") for name in pair), "--json"]) == 0
        printed = capsys.readouterr()
        assert f"the {told} has letters written in parts" in printed.err
        assert json.loads(printed.out)["wer"] == {"errors": 0, "length": 1, "rate": 0.0}
    assert run(["score", *[str(tmp_path / "parts.json")] * 2]) == 0
    assert run(["score", str(tmp_path / "whole.json"), str(tmp_path / "plain.json")]) == 0
    assert "in parts" not in capsys.readouterr().err


def test_too_many_speakers_are_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    crowd = [Turn("r", at, at + 1, f"s{at}", "so") for at in range(1001)]
    write_turns(tmp_path / "crowd.json", crowd)
    write_turns(tmp_path / "some.json", crowd[:30])
    for name, more in (("crowd", ()), ("some", ("--tcpwer",))):
        path = str(tmp_path / f"{name}.json")
        assert run(["score", path, path, *more]) == 2
        assert " speakers" in capsys.readouterr().err.splitlines()[-1]
