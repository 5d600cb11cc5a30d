"""Whatever JSON and RTTM hold: aligned or refused, the same by command line and service."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastapi.testclient import TestClient
from hypothesis import strategies as st

from components.align import align, align_baseline
from components.base import InputError
from components.conversation import (
    Turn,
    only_recording,
    parse_rttm,
    parse_words,
    read_turns,
    turns_to_vtt,
    write_turns,
)
from components.conversation.seglst import turn_entry
from components.scoring import cer, score, score_words, wer
from serving.api.app import create_app

TIMES = st.one_of(
    st.none(),
    st.floats(-1, 20).map(lambda time: round(time, 3)),
    st.sampled_from([0, -0.5, float("inf"), 1e7, 1e300, "3.5", "soon", True, [], -0.0]),
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["so", "今日は", "ที่นี่", " a b ", "", "\u202e", "x" * 2000, 911, None]),
)
WORDS = st.dictionaries(
    st.sampled_from(["word", "text", "start", "end", "score", "probability", "speaker", "x"]),
    st.one_of(TIMES, TEXTS),
    max_size=6,
)
SEGMENTS = st.fixed_dictionaries(
    {"start": TIMES, "end": TIMES},
    optional={"text": TEXTS, "words": st.lists(WORDS, max_size=5), "id": TIMES},
)
TRANSCRIPTS = st.one_of(
    st.fixed_dictionaries(
        {"segments": st.lists(SEGMENTS, max_size=5)},
        optional={"language": st.sampled_from(["en", "ja", "", None, 5])},
    ),
    st.lists(SEGMENTS, max_size=3),
    TEXTS,
)
LIKELY = st.fixed_dictionaries(
    {
        "segments": st.lists(
            st.fixed_dictionaries(
                {"start": st.floats(0, 20), "end": st.floats(0, 20)},
                optional={
                    "words": st.lists(
                        st.fixed_dictionaries(
                            {"word": st.sampled_from(["so", "it", "是", "42"])},
                            optional={"start": st.floats(0, 20), "end": st.floats(0, 20)},
                        ),
                        max_size=6,
                    ),
                    "text": st.just("so it is"),
                },
            ),
            max_size=4,
        )
    }
)
FIELDS = st.sampled_from(["call", "my call", "1", "<NA>", "0.5", "-1", "nan", "A", "Ann Lee", ""])
LINES = st.one_of(
    st.builds(
        "SPEAKER call 1 {:.3f} {:.3f} <NA> <NA> {} <NA> <NA>".format,
        st.floats(0, 20),
        st.floats(0, 5),
        st.sampled_from("ABC"),
    ),
    st.lists(FIELDS, max_size=11).map(lambda fields: "SPEAKER " + " ".join(fields)),
    st.text(max_size=30),
)
RTTM = st.lists(LINES, max_size=6).map("\n".join)


def by_function(words: Any, rttm: str) -> list[dict[str, Any]] | None:
    """The turns as `moodline align` writes them; None where it refuses, in one line."""
    try:
        segments = parse_words(json.loads(json.dumps(words)), "words")
        name, speakers = only_recording(parse_rttm(rttm, "speakers"), "speakers", "recording")
        turns = align(segments, speakers, session_id=name)
        baseline = align_baseline(segments, speakers, session_id=name)
    except InputError as refusal:
        assert "\n" not in str(refusal)
        return None
    spoken = sum(len(word.text.split()) or 1 for s in segments for word in s.words)
    letters = "".join(word.text for s in segments for word in s.words)
    for made in (turns, baseline):
        kept = sorted("".join("".join(turn.words.split()) for turn in made))
        assert kept == sorted("".join(letters.split())), "a word is lost"
        assert all(turn.end > turn.start for turn in made)
    assert len(turns) <= spoken
    assert turns_to_vtt(turns).count("-->") >= len(turns)
    return [turn_entry(turn) for turn in turns]


def test_both_ways_align_alike(fuzz: Callable[..., None]) -> None:
    client = TestClient(create_app(10_000_000, 4), raise_server_exceptions=False)
    process = psutil.Process()

    def check(words: Any, rttm: str) -> None:
        content = json.dumps({"words": words, "speakers": rttm})
        headers = {"Content-Type": "application/json"}
        answer = client.post("/v1/align", content=content, headers=headers)
        turns = by_function(words, rttm)
        if turns is None:
            assert answer.status_code == 422, answer.text
            assert isinstance(answer.json()["detail"], str)
        else:
            assert (answer.status_code, answer.json()) == (200, json.loads(json.dumps(turns)))

    check([], "")  # what is loaded once is loaded now
    before = process.memory_info().rss
    fuzz(check, 400, st.one_of(TRANSCRIPTS, LIKELY, LIKELY), RTTM)
    assert process.memory_info().rss - before < 50 << 20


TURNS = st.lists(
    st.builds(
        lambda name, start, length, speaker, words, emotion: Turn(
            name, start, start + length, speaker, words, emotion
        ),
        st.sampled_from(["r", "silence"]),
        st.floats(0, 20).map(lambda time: round(time, 3)),
        st.floats(0, 5).map(lambda time: round(time, 3)),
        st.sampled_from(["A", "B", "unknown"]),
        st.one_of(st.sampled_from(["so it is", "今日は", "forty-two", "42", "", "?"])),
        st.sampled_from(["sad", "angry", "bored"]),
    ),
    max_size=6,
)


@pytest.mark.parametrize("convention", ["wu2023", "collar0", "ser-align"])
def test_scores_add_up(fuzz: Callable[..., None], tmp_path: Path, convention: str) -> None:
    uem = {"r": [(0.0, 30.0)], "silence": [(0.0, 30.0)]}

    def check(reference: list[Turn], hypothesis: list[Turn]) -> None:
        write_turns(tmp_path / "turns.json", hypothesis)
        assert read_turns(tmp_path / "turns.json") == hypothesis
        scores = score(reference, hypothesis, convention, uem)
        again = score(list(reversed(reference)), hypothesis, convention, uem)
        assert scores.der.to_json() == pytest.approx(again.der.to_json(), nan_ok=True)
        mirror = score(reference, reference, convention, uem)
        assert mirror.der.missed == pytest.approx(0, abs=1e-6)
        assert mirror.der.false_alarm == pytest.approx(0, abs=1e-6)
        for count in (wer, cer):
            words = score_words(reference, reference, count, uem)
            assert words is None or words.errors == 0

    fuzz(check, 60, TURNS, TURNS)
