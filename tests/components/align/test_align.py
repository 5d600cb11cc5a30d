"""Words become turns: the rules as a whole, the baseline, and files."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.align import (
    Method,
    align,
    align_baseline,
    align_corpus,
    attribute,
    flatten,
    words_with_speakers,
)
from components.base import InputError
from components.conversation import (
    EXCLUSIVE,
    SCORES,
    SPEAKERS,
    TRANSCRIPTS,
    AsrSegment,
    Document,
    FrameScores,
    SpeakerSegment,
    Word,
    frame_scores_text,
    read_turns_of,
    read_words,
    rttm_text,
    words_text,
    write_documents,
)
from tests.components.align.lines import AB, A, segment


class TestTurns:
    def test_change_of_speaker_begins_a_turn(self) -> None:
        words = segment(Word("hi", 0.5, 1.0), Word("you", 1.0, 1.9), Word("yes", 2.1, 2.5))
        turns = align([words], AB, session_id="r")
        assert [(t.speaker, t.words, t.start, t.end) for t in turns] == [
            ("A", "hi you", 0.5, 1.9),
            ("B", "yes", 2.1, 2.5),
        ]

    @pytest.mark.parametrize(("start", "turns"), [(2.5, 1), (2.500001, 2)])
    def test_a_pause_of_exactly_max_pause_still_belongs(self, start: float, turns: int) -> None:
        words = segment(Word("a", 0, 1.0), Word("b", start, 3))
        assert len(align([words], [SpeakerSegment(0, 9, "A")], session_id="r")) == turns

    def test_the_latest_end_is_the_turns_end(self) -> None:
        words = segment(Word("long", 0, 5), Word("short", 1, 2))
        (turn,) = align([words], [SpeakerSegment(0, 9, "A")], session_id="r")
        assert (turn.start, turn.end) == (0, 5)

    def test_confidence_is_the_mean_of_the_scores_there_are(self) -> None:
        words = segment(Word("a", 0, 1, 0.5), Word("b", 1, 2), Word("c", 2, 3, 1.0))
        (turn,) = align([words], [], session_id="r")
        assert turn.asr_confidence == 0.75
        assert turn.speaker == "unknown"

    def test_nothing_recognised(self) -> None:
        assert align([], AB, session_id="r") == []


class TestBaseline:
    def test_a_segment_goes_whole_to_who_overlaps_it_most(self) -> None:
        # alignment splits it at 2.0; the baseline gives B's word to A
        words = segment(Word("one", 0.2, 1), Word("two", 1, 1.9), Word("yes", 2.1, 2.9), end=3)
        (turn,) = align_baseline([words], AB, session_id="r")
        assert (turn.speaker, turn.words, turn.start, turn.end) == ("A", "one two yes", 0.0, 3)
        assert len(align([words], AB, session_id="r")) == 2

    def test_segments_without_words_give_no_turn(self) -> None:
        assert align_baseline([segment()], AB, session_id="r") == []


def packed(folder: Path, words: Sequence[str], speakers: Mapping[str, str]) -> tuple[Path, Path]:
    """Transcripts of recordings, and RTTM of the recording that each one's speakers are of."""
    said = words_text([segment(Word("a", 0, 1))])
    spoken = [(name, kind, of) for name, of in speakers.items() for kind in (SPEAKERS, EXCLUSIVE)]
    write_documents(folder / "words", [Document(name, TRANSCRIPTS, said) for name in words])
    write_documents(folder / "rttm", [Document(n, k, rttm_text(of, A)) for n, k, of in spoken])
    return folder / "words", folder / "rttm"


class TestCorpus:
    def test_writes_seglst_for_every_transcript_of_every_shard(self, tmp_path: Path) -> None:
        first = packed(tmp_path / "0", ["r1", "r3"], {"r1": "r1", "r3": "r3"})
        second = packed(tmp_path / "1", ["r2"], {"r2": "r2"})
        steps: list[tuple[int, int]] = []
        count = align_corpus(
            *zip(first, second, strict=True),
            tmp_path / "turns",
            progress=lambda *step: steps.append(step),
        )
        assert (count, steps[-1]) == (3, (3, 3))
        turns = dict(read_turns_of(tmp_path / "turns", ["r1", "r2", "r3"]))
        assert list(turns) == ["r1", "r3", "r2"]
        for name, (turn,) in turns.items():
            assert (turn.session_id, turn.speaker, turn.words) == (name, "A", "a")

    def test_words_that_say_who_spoke_them_are_theirs(self, tmp_path: Path) -> None:
        words, rttm = packed(tmp_path, ["r1"], {"r1": "r1"})
        said = [segment(Word("a", 0, 1, speaker=who)) for who in ("CHANNEL_1", "CHANNEL_2")]
        write_documents(words, [Document("r1", TRANSCRIPTS, words_text(said))])
        align_corpus([words], [rttm], tmp_path / "turns")
        ((_, turns),) = read_turns_of(tmp_path / "turns", ["r1"])
        assert [(t.speaker, t.words) for t in turns] == [("CHANNEL_1", "a"), ("CHANNEL_2", "a")]

    @pytest.mark.parametrize(
        ("speakers", "fault"),
        [
            ({"r1": "r1"}, "rttm: no speakers of r2: it has none"),
            ({"r2": "r2", "r1": "r1"}, "rttm: no speakers of r1: its place is that of r2"),
            ({"r1": "r9", "r2": "r2"}, "rttm: r1: is of r9"),
        ],
    )
    def test_speakers_that_do_not_fit_are_named_and_nothing_is_left(
        self, speakers: Mapping[str, str], fault: str, tmp_path: Path
    ) -> None:
        words, rttm = packed(tmp_path, ["r1", "r2"], speakers)
        with pytest.raises(InputError, match=fault):
            align_corpus([words], [rttm], tmp_path / "turns")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["rttm", "words"]

    def test_frame_scores_beside_the_speakers_are_taken_by_evidence(self, tmp_path: Path) -> None:
        words, rttm = packed(tmp_path, ["r1", "r2"], {"r1": "r1", "r2": "r2"})
        others = FrameScores(("A", "B"), 0.0, 0.5, np.array([[0, 255]] * 4, dtype=np.uint8))

        def beside(text: str) -> list[Document]:
            """The second recording's speakers with scores; the first has none."""
            spoken = [(n, rttm_text(n, AB)) for n in ("r1", "r2")]
            kept = {"r1": "", "r2": text}
            return [d for n, t in spoken for d in (Document(n, EXCLUSIVE, t),
                                                   Document(n, SCORES, kept[n]))]  # fmt: skip

        def speakers(method: Method) -> list[str]:
            align_corpus([words], [rttm], tmp_path / "turns", method=method)
            turns = dict(read_turns_of(tmp_path / "turns", ["r1", "r2"]))
            return [turn.speaker for own in turns.values() for turn in own]

        write_documents(rttm, beside(frame_scores_text(others, "r2", AB)))
        assert speakers("overlap") == ["A", "A"]
        assert speakers("evidence") == ["A", "B"]
        for text in ("AAAA", "not base64", frame_scores_text(others, "r2", A)):
            write_documents(rttm, beside(text))
            before = (tmp_path / "turns").read_bytes()
            with pytest.raises(InputError, match=r"rttm: r2: .*diarize again"):
                speakers("evidence")
            assert (tmp_path / "turns").read_bytes() == before
            assert speakers("overlap") == ["A", "A"]

    def test_no_transcripts(self, tmp_path: Path) -> None:
        words, rttm = packed(tmp_path, [], {})
        with pytest.raises(InputError, match="words: no transcripts in there"):
            align_corpus([words], [rttm], tmp_path / "turns")


METHODS: tuple[Method, ...] = ("overlap", "evidence")

times = st.one_of(st.none(), st.integers(0, 40).map(lambda n: n / 4))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[AsrSegment], list[SpeakerSegment]]:
    segments = []
    for number in range(draw(st.integers(0, 4))):
        words = []
        for index in range(draw(st.integers(0, 6))):
            start, length = draw(times), draw(st.integers(0, 8)) / 4
            end = None if start is None else start + length
            words.append(Word(f"w{number}.{index}", start, end))
        start = draw(st.integers(0, 40)) / 4
        segments.append(segment(*words, start=start, end=start + draw(st.integers(0, 20)) / 4))
    speakers = [
        SpeakerSegment(start / 4, (start + length) / 4, name)
        for start, length, name in draw(
            st.lists(st.tuples(st.integers(0, 48), st.integers(0, 16), st.sampled_from("ABC")))
        )
    ]
    return segments, speakers


def slow_attribute(
    words: list[Word], segments: list[SpeakerSegment], max_pause: float
) -> list[str]:
    """Rule 2 as it reads, in quarter seconds, with loops."""
    result: list[str] = []
    for word in words:
        inside: dict[str, int] = {}
        distance: dict[str, float] = {}
        start, end = round(word.start * 1e6), round(word.end * 1e6)
        for name in {s.speaker for s in segments}:
            cuts = sorted(
                {start, end}
                | {
                    min(max(round(t * 1e6), start), end)
                    for s in segments
                    if s.speaker == name
                    for t in (s.start, s.end)
                }
            )
            inside[name] = sum(
                b - a
                for a, b in pairwise(cuts)
                if any(
                    s.speaker == name and s.start * 1e6 <= a and b <= s.end * 1e6 for s in segments
                )
            )
            distance[name] = min(
                max(0, round(s.start * 1e6) - end, start - round(s.end * 1e6))
                for s in segments
                if s.speaker == name
            )
        best = max(inside.values(), default=0)
        if best:
            tied = sorted(n for n in inside if inside[n] == best)
        else:
            near = min(distance.values(), default=1e18)
            tied = sorted(n for n in distance if distance[n] == near and near <= max_pause * 1e6)
        previous = result[-1] if result else None
        result.append(previous if previous in tied else tied[0] if tied else "unknown")
    return result


@given(conversations(), st.sampled_from([0.0, 0.5, 1.5]))
def test_rules_hold_on_any_conversation(
    conversation: tuple[list[AsrSegment], list[SpeakerSegment]], max_pause: float
) -> None:
    segments, speakers = conversation
    words = flatten(segments)
    spoken = sorted(w.text for s in segments for w in s.words)
    assert sorted(w.text for w in words) == spoken
    owners = attribute(
        np.array([w.start for w in words]), np.array([w.end for w in words]), speakers,
        max_pause=max_pause,
    )  # fmt: skip
    assert owners == slow_attribute(words, speakers, max_pause)
    for method in METHODS:
        turns = align(segments, speakers, session_id="r", max_pause=max_pause, method=method)
        assert sorted(word for t in turns for word in t.words.split()) == spoken
        assert turns == sorted(turns, key=lambda turn: turn.start)
        assert all(0 <= (t.speaker_confidence or 0) <= 1 for t in turns)
        given = words_with_speakers(segments, speakers, max_pause=max_pause, method=method)
        assert [word.text for word in given] == [word.text for word in words]
        assert {word.speaker for word in given} == {turn.speaker for turn in turns}
    baseline = align_baseline(segments, speakers, session_id="r", max_pause=max_pause)
    assert sorted(word for t in baseline for word in t.words.split()) == spoken


def test_anyones_whisperx_output_is_read(tmp_path: Path) -> None:
    """WhisperX leaves numbers without times and puts NaN where it has no score."""
    text = (
        '{"segments": [{"start": 0.5, "end": 3.0, "text": " I have 42 cats.", "words": ['
        '{"word": "I", "start": 0.5, "end": 0.6, "score": 0.9, "speaker": "SPEAKER_00"},'
        '{"word": "have", "start": 0.7, "end": 1.0, "score": NaN}, {"word": "42"},'
        '{"word": "cats.", "start": 2.0, "end": 3.0, "score": 0.7}]}], "word_segments": []}'
    )
    assert json.loads(text)
    path = tmp_path / "r.json"
    path.write_text(text)
    (turn,) = align(read_words(path), A, session_id="r")
    assert turn.words == "I have 42 cats."
    assert turn.asr_confidence == pytest.approx(0.8)
