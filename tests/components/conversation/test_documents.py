"""Documents of many recordings in one file: written whole, read bit by bit, and by anyone."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from components.base import InputError
from components.conversation import (
    EXCLUSIVE,
    REFERENCE,
    SPEAKERS,
    TURNS,
    Document,
    Recording,
    Turn,
    Utterance,
    count_documents,
    read_documents,
    read_manifest,
    read_turns,
    turns_text,
    unpack_documents,
    write_documents,
    write_manifest,
)
from components.conversation.seglst import read_turns_of


def made(*names: str) -> list[Document]:
    return [
        Document(n, kind, f"{kind} of {n}: …\n") for n in names for kind in (SPEAKERS, EXCLUSIVE)
    ]


def test_what_was_written_is_read_by_kind_and_by_recording(tmp_path: Path) -> None:
    path = tmp_path / "speakers"
    assert write_documents(path, made("b", "a")) == 2
    assert count_documents(path) == 4
    assert list(read_documents(path, EXCLUSIVE)) == [
        ("b", "exclusive of b: …\n"), ("a", "exclusive of a: …\n"),
    ]  # fmt: skip
    assert [name for name, _ in read_documents(path, SPEAKERS, {"a", "c"})] == ["a"]
    assert list(read_documents(path, TURNS)) == []


def test_others_read_it(tmp_path: Path) -> None:
    path = tmp_path / "speakers"
    write_documents(path, made("b", "a"))
    query = (
        f"select document from read_parquet('{path}') where recording = 'a' and kind = 'speakers'"
    )
    assert duckdb.sql(query).fetchall() == [("speakers of a: …\n",)]
    assert list(pd.read_parquet(path).columns) == ["recording", "kind", "document"]


def test_memory_holds_a_part_of_it(tmp_path: Path) -> None:
    text, peaks = "word " * 200_000, []

    def many() -> Iterator[Document]:
        for number in range(100):
            yield Document(f"r{number}", TURNS, f"{number} {text}")

    for step in ("write", "read"):
        tracemalloc.start()
        if step == "write":
            write_documents(tmp_path / "turns", many())
        else:
            assert sum(1 for _ in read_documents(tmp_path / "turns", TURNS)) == 100
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert pq.ParquetFile(tmp_path / "turns").num_row_groups > 5
    assert max(peaks) < 50 << 20 < 100 * len(text)
    assert (tmp_path / "turns").stat().st_size < 1 << 20


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> Iterator[Document]:
        yield Document("a", TURNS, "x" * (9 << 20))
        raise InputError("b: is no sound")

    with pytest.raises(InputError, match="b: is no sound"):
        write_documents(tmp_path / "turns", fails())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_whole_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "turns"
    write_documents(path, [Document(f"r{n}", TURNS, "so " * n) for n in range(1000)])
    whole = path.read_bytes()
    cut = whole[: len(whole) // 2]
    changed = whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]
    for content in (cut, changed, b"", b"no Parquet at all"):
        path.write_bytes(content)
        with pytest.raises(InputError) as refused:
            list(read_documents(path, TURNS))
        assert "turns: is not Parquet, or was cut short" in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(InputError, match="none: no such file"):
        list(read_documents(tmp_path / "none", TURNS))
    pd.DataFrame({"recording": ["a"]}).to_parquet(path)
    with pytest.raises(InputError, match="turns: lacks the column kind"):
        count_documents(path)


def test_turns_by_recording_from_a_file_and_from_files(tmp_path: Path) -> None:
    turns = {name: [Turn(name, 0, 1, "A", "so")] for name in ("a", "b")}
    path = tmp_path / "turns"
    write_documents(path, [Document(n, TURNS, turns_text(own)) for n, own in turns.items()])
    assert unpack_documents(path, TURNS, tmp_path / "files", ".json") == 2
    assert read_turns(tmp_path / "files" / "b.json") == turns["b"]
    for place in (path, tmp_path / "files"):
        assert dict(read_turns_of(place, ["a", "b"])) == turns
    with pytest.raises(InputError, match="turns: has no turns of c; align it first"):
        list(read_turns_of(path, ["a", "c"]))
    write_documents(path, [Document("a", TURNS, turns_text(turns["b"]))])
    with pytest.raises(InputError, match="turns: a: holds a turn of recording b"):
        list(read_turns_of(path, ["a"]))


def utterance(recording: str, name: str) -> Utterance:
    return Utterance(name, recording, 0, 1, "A", "F", "so", "sad")


def corpus(folder: Path, *utterances: Utterance) -> list[Recording]:
    (folder / "sound.wav").write_bytes(b"")
    return [
        Recording(u.recording, folder / "sound.wav", "week-1", None, (u,), (("customer", "acme"),))
        for u in utterances
    ]


def test_a_manifest_of_any_size_is_two_files(tmp_path: Path) -> None:
    recordings = corpus(tmp_path, *(utterance(f"r{n}", f"u{n}") for n in range(30)))
    write_manifest(tmp_path / "corpus", recordings, packed=True)
    assert len(list((tmp_path / "corpus").iterdir())) == 2
    assert read_manifest(tmp_path / "corpus") == recordings


def test_faults_of_packed_references_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    write_manifest(
        folder, corpus(tmp_path, utterance("a", "u1"), utterance("b", "u1")), packed=True
    )
    with pytest.raises(
        InputError,
        match=r"references\.parquet: b: utterance u1 is named twice, also in .*parquet: a$",
    ):
        read_manifest(folder)
    write_documents(folder / "references.parquet", [Document("a", REFERENCE, "[]")])
    with pytest.raises(InputError, match=r"references\.parquet: has no reference of b"):
        read_manifest(folder)
    (folder / "references.parquet").unlink()
    with pytest.raises(InputError, match=r"references\.parquet: no such file"):
        read_manifest(folder)
