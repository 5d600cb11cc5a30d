"""`moodline score --words` on turns and on WhisperX's words."""

import json
from pathlib import Path

import pytest

from components.conversation import Turn, write_turns
from pipelines.cli.main import run

WORDS = [("so", 0.0, 0.4, "A"), ("it", 0.5, 0.6, "A"), ("is", 0.7, 1.0, "A"),
         ("oh", 1.2, 1.5, "B"), ("no", 1.6, 2.0, "B")]  # fmt: skip


def transcript(path: Path, speakers: str | None = "AAABB") -> Path:
    """A sentence of A and one of B in WhisperX's JSON, words with these speakers (“-”: none)."""
    words = [
        {"word": text, "start": start, "end": end}
        | ({"speaker": speakers[i]} if speakers and speakers[i] != "-" else {})
        for i, (text, start, end, _) in enumerate(WORDS)
    ]
    segments = [
        {"start": part[0]["start"], "end": part[-1]["end"], "text": "", "words": part}
        for part in (words[:3], words[3:])
    ]
    path.write_text(json.dumps({"segments": segments, "language": "en"}))
    return path


def scored(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert run(["score", "--words", "--json", *map(str, arguments)]) == 0
    return json.loads(capsys.readouterr().out)


def test_turns_against_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    # reference   A so it is     B oh no
    # hypothesis  x so it    y is oh no
    turns = [Turn("r", 0.0, 0.6, "x", "so it"), Turn("r", 0.7, 2.0, "y", "is oh no")]
    write_turns(tmp_path / "turns.json", turns)
    scores = scored(capsys, transcript(tmp_path / "words.json"), tmp_path / "turns.json")
    assert scores == {
        "word_speaker_error": {"errors": 1, "length": 5, "rate": 0.2},
        "changes": {"found": 0, "hypothesis": 1, "reference": 1, "rate": 0, "precision": 0,
                    "recall": 0},
        "whole": {"correct": 0, "total": 2, "rate": 0},
        "cpwer": {"errors": 2, "length": 5, "rate": 0.4},
        "tcpwer": {"errors": 2, "length": 5, "rate": 0.4},
    }  # fmt: skip


def test_whisperxs_words_on_both_sides(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    reference, heard = (
        transcript(tmp_path / name, s) for name, s in (("a.json", "AAABB"), ("b.json", "1112-"))
    )
    scores = scored(capsys, reference, heard)
    assert scores["word_speaker_error"]["errors"] == 1  # a word that nobody was given
    assert scores["whole"] == {"correct": 1, "total": 2, "rate": 0.5}
    assert scored(capsys, reference, reference)["whole"]["rate"] == 1
    assert run(["score", "--words", str(reference), str(heard)]) == 0
    printed = capsys.readouterr().out
    for row in ("word-speaker error", "recall", "precision", "whole", "cpWER", "tcpWER"):
        assert row in printed
    assert "1 of 5 words" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody.json", "turns.json"), "nobody.json: “so” at 0.00 s has no speaker; each word"),
        (("words.json", "two.json"), "words.json: is one recording's transcript, but"),
        (("silent.json", "turns.json"), "silent.json: has no words"),
        (("turns.json", "silent.json"), "silent.json: has no words"),
        (("turns.json", "turns.json", "--labels", "sad,angry"), "--words counts all words"),
        (("turns.json", "turns.json", "--convention", "collar0"), "--words counts all words"),
        (("turns.json", "none.json"), "none.json: no such file"),
    ],
)
def test_what_cannot_be_scored_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    transcript(tmp_path / "nobody.json", None)
    transcript(tmp_path / "words.json")
    turn = Turn("r", 0, 1, "A", "so")
    write_turns(tmp_path / "turns.json", [turn])
    write_turns(tmp_path / "two.json", [turn, Turn("s", 0, 1, "A", "so")])
    write_turns(tmp_path / "silent.json", [Turn("r", 0, 1, "A", "")])
    files = [str(tmp_path / a) if a.endswith(".json") else a for a in arguments]
    assert run(["score", "--words", *files]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.strip().splitlines()) == 1
