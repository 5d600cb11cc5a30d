"""`/v1/align` and `moodline align` give one answer to what other tools write, right or refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipelines.cli.main import run
from serving.api.app import create_app

RTTM = (
    "SPEAKER call 1 0.0 3.0 <NA> <NA> A <NA> <NA>\nSPEAKER call 1 3.0 3.0 <NA> <NA> B <NA> <NA>\n"
)
WORDS = [{"word": "so", "start": 0.2, "end": 0.5}, {"word": "on", "start": 3.2, "end": 3.5}]
SEGMENT = {"start": 0, "end": 4, "words": WORDS}

READ: dict[str, Any] = {
    "a bare list": [SEGMENT],
    "a start before 0": {"segments": [SEGMENT | {"start": -0.12}]},
    "a number as a word": {"segments": [SEGMENT | {"words": [*WORDS, {"word": 911}]}]},
    "a long word": {"segments": [SEGMENT | {"words": [{"word": "ha" * 1000}]}]},
    "an end before its start": {"segments": [SEGMENT, SEGMENT | {"start": 5}]},
    "no bounds": {"segments": [SEGMENT | {"start": None, "end": None}]},
    "Japanese": {"segments": [{"start": 0, "end": 4, "text": "今日はいい"}], "language": "ja"},
    "faster-whisper": [SEGMENT | {"words": [WORDS[0] | {"probability": 0.5}]}],
    "whisper-timestamped": [SEGMENT | {"words": [{"text": "so", "confidence": 0.5}]}],
    "nothing said": {"segments": []},
}
REFUSED: dict[str, tuple[Any, str, str]] = {
    "no bound at all": ([{"start": 0, "text": "a"}], RTTM, "end"),
    "a time beyond any recording": ([SEGMENT | {"end": 2e7}], RTTM, "less than or equal to"),
    "a space in a name": ([SEGMENT], RTTM.replace("call", "my call"), "names hold no spaces"),
    "two recordings": ([SEGMENT], RTTM + RTTM.replace("call", "b"), "holds 2 recordings"),
    "too many speakers": (
        [SEGMENT],
        "".join(RTTM.splitlines()[0].replace(" A ", f" A{n} ") + "\n" for n in range(101)),
        "at most 100",
    ),
    "too many words": ([{"start": 0, "end": 9e6, "text": "a " * 600_001}], RTTM, "in parts"),
    "speech before 0": ([SEGMENT], RTTM.replace(" 0.0 3.0", " -1.0 3.0"), "before 0"),
}


def both_ways(
    tmp_path: Path, words: Any, rttm: str, asked: dict[str, Any] | None = None, *options: str
) -> tuple[int, Any, int, Any]:
    """The service's status and answer, the command's exit status and turns."""
    client = TestClient(create_app(10_000_000, 4), raise_server_exceptions=False)
    answer = client.post("/v1/align", json={"words": words, "speakers": rttm} | (asked or {}))
    paths = [tmp_path / name for name in ("call.json", "call.rttm", "turns.json")]
    paths[0].write_text(json.dumps(words))
    paths[1].write_text(rttm)
    status = run(["align", *map(str, paths[:2]), "-o", str(paths[2]), *options])
    made = json.loads(paths[2].read_text()) if paths[2].exists() else None
    return answer.status_code, answer.json(), status, made


@pytest.mark.parametrize("case", READ)
def test_both_ways_give_the_same_turns(tmp_path: Path, case: str) -> None:
    code, answer, status, made = both_ways(tmp_path, READ[case], RTTM)
    assert (code, status) == (200, 0), answer
    assert answer == made
    assert len(made) >= (case != "nothing said")


def test_both_ways_align_by_evidence(tmp_path: Path) -> None:
    asked = {"method": "evidence", "max_pause": "auto"}
    words = READ["a bare list"]
    given = both_ways(tmp_path, words, RTTM, asked, "--method", "evidence", "--max-pause", "auto")
    code, answer, status, made = given
    assert (code, status) == (200, 0), answer
    assert answer == made
    assert [0 < turn["speaker_confidence"] <= 1 for turn in made] == [True, True]


@pytest.mark.parametrize("case", REFUSED)
def test_both_ways_refuse_in_one_line(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, rttm, message = REFUSED[case]
    code, answer, status, made = both_ways(tmp_path, words, rttm)
    assert (code, status, made) == (422, 2, None)
    assert message in answer["detail"]
    assert message in " ".join(capsys.readouterr().err.split())
