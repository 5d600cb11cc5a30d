"""Every format is read back as it was written, and a broken file is one clear line."""

import json
from pathlib import Path

import meeteval
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base import InputError
from components.conversation import (
    AsrSegment,
    Recording,
    SpeakerSegment,
    Turn,
    Utterance,
    Word,
    mark_uncertain,
    parse_words,
    read_manifest,
    read_rttm,
    read_turns,
    read_uem,
    read_words,
    turns_from_rttm,
    turns_to_vtt,
    write_manifest,
    write_rttm,
    write_turns,
    write_words,
)

PROBABILITIES = {"angry": 0.1, "happy": 0.2, "neutral": 0.3, "sad": 0.4}
TURNS = [
    Turn("r", 0.5, 1.25, "A", "hello there", "sad", 0.4, PROBABILITIES, 0.9),
    Turn("r", 2.0, 3.0, "unknown", "x & <y>"),
]


def test_words(tmp_path: Path) -> None:
    spoken = (Word("I", 0.5, 0.6, 0.9, "A"), Word("have", 0.7, 1.0), Word("42", None, None))
    segments = [AsrSegment(0.5, 3.0, "I have 42", spoken)]
    write_words(tmp_path / "w.json", segments)
    assert read_words(tmp_path / "w.json") == segments


def test_a_segment_without_words_gets_those_of_its_text(tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text('{"segments": [{"start": 0, "end": 2, "text": " so it is"}]}')
    (segment,) = read_words(tmp_path / "w.json")
    assert [(w.text, w.start) for w in segment.words] == [("so", None), ("it", None), ("is", None)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{}", "segments"),
        ('{"segments": [{"start": 0, "words": []}]}', "segment 1: lacks 'end'"),
        ('{"segments": [{"start": 0, "end": 1}]}', "segment 1: lacks 'text' and 'words'"),
        ('{"segments": [{"start": 0, "end": "x", "text": "a"}]}', "segment 1"),
        ('{"segments": [{"start": 0, "end": 1, "words": [{"start": 1}]}]}', "lacks 'word'"),
        ('{"segments": [{"start": 0, "end": 1, "words": ["hi"]}]}', "segment 1"),
    ],
)
def test_broken_words(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(InputError, match=rf"w\.json: .*{message}") as error:
        read_words(tmp_path / "w.json")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("words", [{"text": "\ud800"}, {"words": [{"word": "\ud800"}]}])
def test_half_of_a_character_is_refused(words: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"segment 1: .*, not a text of whole characters"):
        parse_words([{"start": 0, "end": 1} | words], "words")


names = st.text("abcXYZ_-09", min_size=1)
spans = st.tuples(st.integers(0, 10**10), st.integers(0, 10**8))


@given(st.lists(st.tuples(spans, names)))
def test_rttm_keeps_microseconds(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[tuple[int, int], str]]
) -> None:
    path = tmp_path_factory.mktemp("rttm") / "r.rttm"
    segments = sorted(
        SpeakerSegment(start / 1e6, (start + length) / 1e6, name)
        for (start, length), name in entries
    )
    write_rttm(path, "r", segments)
    read_back = read_rttm(path).get("r", [])
    assert len(read_back) == len(segments)
    for one, other in zip(sorted(read_back), segments, strict=True):
        assert abs(one.start - other.start) < 1e-6
        assert abs(one.end - other.end) < 2e-6


def test_rttm_of_others(tmp_path: Path) -> None:
    path = tmp_path / "r.rttm"
    path.write_text(
        ";; a comment\nSPKR-INFO r 1 <NA> <NA> <NA> unknown A <NA>\n\n"
        "SPEAKER r 1 2.0 1.0 <NA> <NA> B <NA> <NA>\nSPEAKER q 1 0 1 <NA> <NA> A <NA>\n"
        "SPEAKER r 1 0.0 1.0 <NA> <NA> A <NA> <NA>\n"
    )
    assert read_rttm(path) == {
        "r": [SpeakerSegment(0, 1, "A"), SpeakerSegment(2, 3, "B")],
        "q": [SpeakerSegment(0, 1, "A")],
    }
    assert {t.session_id for t in turns_from_rttm(path)} == {"r", "q"}


@pytest.mark.parametrize(
    "line", ["SPEAKER r 1 x 1 <NA> <NA> A", "SPEAKER r 1 0 -1 <NA> <NA> A", "SPEAKER r", "hello"]
)
def test_broken_rttm(tmp_path: Path, line: str) -> None:
    (tmp_path / "r.rttm").write_text(f"SPEAKER r 1 0 1 <NA> <NA> A\n{line}\n")
    with pytest.raises(InputError, match=r"r\.rttm: line 2"):
        read_rttm(tmp_path / "r.rttm")


def test_a_byte_order_mark(tmp_path: Path) -> None:
    """What Windows' programs put before the first line is no part of it."""

    def marked(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        return tmp_path / name

    rttm = marked("r.rttm", "SPEAKER r 1 0 1 <NA> <NA> A\nSPEAKER r 1 2 1 <NA> <NA> B\n")
    assert len(read_rttm(rttm)["r"]) == 2
    assert read_uem(marked("u.uem", "r 1 0 5\n")) == {"r": [(0, 5)]}
    assert len(read_words(marked("w.json", '[{"start": 0, "end": 2, "text": "so"}]'))) == 1
    assert len(read_turns(marked("t.json", entry()))) == 1


def test_rttm_cannot_hold_spaces(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="my call"):
        write_rttm(tmp_path / "r.rttm", "my call", [SpeakerSegment(0, 1, "A")])


def test_uem(tmp_path: Path) -> None:
    (tmp_path / "u.uem").write_text("r 1 2.0 3.0\nq 1 1 2\n;; a comment\nr 1 0.0 1.500000\n")
    assert read_uem(tmp_path / "u.uem") == {"r": [(0.0, 1.5), (2.0, 3.0)], "q": [(1.0, 2.0)]}
    for line, message in (
        ("r 1 5 2", "line 1: ends before"),
        ("r 1 0 nan", "line 1: has a time that is not a number"),
        ("r 1 0", "line 1: is not a UEM line: too short"),
    ):
        (tmp_path / "u.uem").write_text(f"{line}\n")
        with pytest.raises(InputError, match=message):
            read_uem(tmp_path / "u.uem")


def test_turns_are_seglst_that_meeteval_reads(tmp_path: Path) -> None:
    write_turns(tmp_path / "t.json", TURNS)
    assert read_turns(tmp_path / "t.json") == TURNS
    seglst = meeteval.io.SegLST.load(tmp_path / "t.json")
    assert [s["words"] for s in seglst] == ["hello there", "x & <y>"]


def entry(**changes: object) -> str:
    """A SegLST file of one segment."""
    whole = {"session_id": "r", "start_time": 0, "end_time": 1, "speaker": "A", "words": "so"}
    return json.dumps([whole | changes])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "not SegLST"),
        (" ", "is empty"),
        (entry(emotion=["sad"]), r"turn 1: 'emotion' is \['sad'\], not a text"),
        (entry(words=None), "turn 1: 'words' is None, not a text"),
        (entry(speaker=None), "turn 1: 'speaker' is None, not a text"),
        (entry(confidence="high"), "turn 1: 'confidence' is 'high', not a number"),
        ('[{"session_id": "r"}]', "turn 1: lacks 'start_time'"),
        ('[{"session_id":"r","start_time":2,"end_time":1,"speaker":"A","words":""}]', "before"),
        ('[{"session_id":"r","start_time":NaN,"end_time":1,"speaker":"A"}]', "not a number"),
    ],
)
def test_broken_turns(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InputError, match=rf"t\.json: .*{message}"):
        read_turns(tmp_path / "t.json")


def test_vtt() -> None:
    assert turns_to_vtt(TURNS) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.250\n<v A>[sad] hello there\n\n"
        "00:00:02.000 --> 00:00:03.000\n<v unknown>x &amp; &lt;y&gt;\n"
    )


def test_an_uncertain_emotion_says_so_in_every_format(tmp_path: Path) -> None:
    sure = Turn("call", 0.0, 1.0, "A", "hello", "sad", confidence=0.4)
    unsure = mark_uncertain([sure], 0.5)[0]
    write_turns(tmp_path / "t.json", [sure, unsure])
    written = json.loads((tmp_path / "t.json").read_text())
    assert "uncertain" not in written[0]
    assert (written[1]["uncertain"], written[1]["emotion"], written[1]["confidence"]) == (
        (True, "sad", 0.4)
    )
    assert read_turns(tmp_path / "t.json") == [sure, unsure]
    assert "<v A>[sad?] hello" in turns_to_vtt([unsure])


class TestManifest:
    utterance = Utterance("u1", "r", 0.5, 2.0, "F", "F", "so it is", "sad")

    def corpus(self, folder: Path) -> Recording:
        (folder / "r.wav").write_bytes(b"RIFF")
        recording = Recording("r", folder / "r.wav", "week-1", None, (self.utterance,))
        write_manifest(folder / "corpus", [recording])
        return recording

    def test_round_trip(self, tmp_path: Path) -> None:
        recording = self.corpus(tmp_path)
        assert read_manifest(tmp_path / "corpus") == [recording]
        assert read_manifest(tmp_path / "corpus" / "manifest.jsonl") == [recording]
        assert recording.speakers == ("F",)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"audio": "gone.wav"}, r"line 1: gone\.wav: no such audio"),
            ({"reference": "gone.json"}, r"gone\.json: no such file"),
            ({"recording": "q"}, "utterance 1: is of r, not of q"),
            ({"fold": 3}, r"line 1: 'fold' is 3, not a text"),
            ({"fold": None}, r"line 1: 'fold' is None, not a text"),
            ({"recording": "my call"}, r"'my call' must be one word"),
            ({"recording": "a/b"}, r"'a/b' must be one word"),
            ({"fold": "\ud800"}, r"line 1: is not JSON: .*hex escape"),
            ({"scripted": "no"}, r"'scripted' is 'no', not true or false"),
        ],
    )
    def test_bad_rows(self, tmp_path: Path, change: dict[str, object], message: str) -> None:
        self.corpus(tmp_path)
        path = tmp_path / "corpus" / "manifest.jsonl"
        row = json.loads(path.read_text()) | change
        path.write_text(json.dumps(row))
        with pytest.raises(InputError, match=message):
            read_manifest(path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"speaker": ""}, "utterance 1: 'speaker' is '', not a name"),
            ({"words": "\udc80"}, "is not JSON: .*hex escape"),
            ({"start_time": True}, "utterance 1: 'start_time' is True, not a number"),
        ],
    )
    def test_bad_references(self, tmp_path: Path, change: dict[str, object], message: str) -> None:
        self.corpus(tmp_path)
        path = tmp_path / "corpus" / "reference" / "r.json"
        (row,) = json.loads(path.read_text())
        path.write_text(json.dumps([row | change]))
        with pytest.raises(InputError, match=rf"r\.json: {message}"):
            read_manifest(tmp_path / "corpus")

    @pytest.mark.parametrize("column", ["recording", "audio", "reference", "fold"])
    def test_a_missing_column(self, tmp_path: Path, column: str) -> None:
        self.corpus(tmp_path)
        path = tmp_path / "corpus" / "manifest.jsonl"
        row = json.loads(path.read_text())
        del row[column]
        path.write_text("\n" + json.dumps(row))
        with pytest.raises(InputError, match=rf"jsonl: line 2: lacks '{column}'"):
            read_manifest(path)
        path.write_text(json.dumps(list(row)))
        with pytest.raises(InputError, match=r"line 1: is .*, not an object"):
            read_manifest(path)

    def test_a_byte_order_mark(self, tmp_path: Path) -> None:
        self.corpus(tmp_path)
        path = tmp_path / "corpus" / "manifest.jsonl"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
        assert len(read_manifest(path)) == 1

    def test_names_used_twice(self, tmp_path: Path) -> None:
        self.corpus(tmp_path)
        path = tmp_path / "corpus" / "manifest.jsonl"
        path.write_text(path.read_text() * 2)
        with pytest.raises(InputError, match="line 2: recording r is named twice"):
            read_manifest(path)

    def test_empty_or_torn(self, tmp_path: Path) -> None:
        (tmp_path / "manifest.jsonl").write_text("\n")
        with pytest.raises(InputError, match="names no recording"):
            read_manifest(tmp_path)
        (tmp_path / "manifest.jsonl").write_text('{"recording": "r", "au')
        with pytest.raises(InputError, match="line 1: is not JSON"):
            read_manifest(tmp_path)
