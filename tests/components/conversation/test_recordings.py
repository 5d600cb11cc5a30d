"""Work on a corpus: in shards that are the whole together, never twice, whole or not at all."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components.base import Cache, InputError, Stopped, cores
from components.conversation import (
    Document,
    Recording,
    Utterance,
    read_documents,
    recording_name,
    recording_names,
    shard_of,
    work_through,
)


@given(st.text(max_size=150))
@example("a.wav).ogg")
@example("x" * 96 + ".wavy")
@example("\udc80\0.wav")
def test_a_recording_s_name_is_one_safe_word_and_names_itself(file: str) -> None:
    name = recording_name(file)
    assert recording_name(name) == name
    assert 0 < len(name) <= 100 and len(name.split()) == 1 and name.isprintable()
    assert not set(name) & set("/\\") and name not in (".", "..")
    assert recording_names(file)[0] == name


def corpus(*names: str) -> list[Recording]:
    return [Recording(name, Path(f"{name}.wav"), "fold", None, ()) for name in names]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_shards_are_the_corpus_whatever_its_order(count: int) -> None:
    recordings = corpus("g", "b", "a", "f", "e", "d", "c")
    shards = [shard_of(recordings, index, count) for index in range(count)]
    assert sorted(r.name for shard in shards for r in shard) == list("abcdefg")
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert shards == [shard_of(recordings[::-1], index, count) for index in range(count)]


def said(recording: str, hours: float) -> Utterance:
    return Utterance("u", recording, 0.0, 3_600 * hours, "A", None, "so", "sad")


def lasting(hours: dict[str, float]) -> list[Recording]:
    return [
        replace(recording, utterances=(said(recording.name, hours[recording.name]),))
        for recording in corpus(*hours)
    ]


def test_shards_are_about_as_long_each() -> None:
    recordings = lasting({"a": 1, "b": 1, "c": 5, "d": 1, "e": 1, "f": 1})
    assert [[r.name for r in shard_of(recordings, i, 2)] for i in range(2)] == [
        ["c"],
        ["a", "b", "d", "e", "f"],
    ]
    many = lasting({f"r{i:02}": (7 * i) % 23 + 0.5 for i in range(60)})
    shards = [shard_of(many, i, 4) for i in range(4)]
    assert shards == [shard_of(many[::-1], i, 4) for i in range(4)]
    filled = [sum(r.utterances[0].end for r in shard) for shard in shards]
    assert max(filled) - min(filled) <= 3_600 * 2
    assert sorted(r.name for shard in shards for r in shard) == [r.name for r in many]


def test_shards_without_a_reference_are_about_as_large_each(tmp_path: Path) -> None:
    recordings = []
    for recording, size in zip(corpus("a", "b", "c", "d"), (900, 300, 300, 300), strict=True):
        path = tmp_path / f"{recording.name}.wav"
        path.write_bytes(bytes(size))
        recordings.append(replace(recording, audio=path))
    assert [[r.name for r in shard_of(recordings, i, 2)] for i in range(2)] == [
        ["a"],
        ["b", "c", "d"],
    ]


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0)])
def test_no_such_shard(shard: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"no shard {shard[0]} of {shard[1]}"):
        shard_of(corpus("a"), *shard)


def work(folder: Path, made: list[str]) -> list[Document]:
    """Make two kinds of document of three recordings; `made` tells which were not found done."""

    def make(recording: Recording, _: object) -> Mapping[str, str]:
        made.append(recording.name)
        return {kind: f"{kind} of {recording.name}" for kind in ("plain", "other")}

    done = work_through(
        corpus("a", "b", "c"),
        ["plain", "other"],
        lambda recording: [recording.name],
        make,
        suffix=".txt",
        cache=Cache(folder / "cache"),
    )
    return list(done)


def test_what_was_made_is_not_made_again(tmp_path: Path) -> None:
    made: list[str] = []
    first = work(tmp_path, made)
    assert first[2:4] == [("b", "plain", "plain of b"), ("b", "other", "other of b")]
    assert work(tmp_path, made) == first
    assert sorted(made) == ["a", "b", "c"]
    # one of the two kinds was lost: it is made again
    for cached in (tmp_path / "cache" / "other").rglob("*.txt"):
        if cached.read_text() == "other of b":
            cached.unlink()
    assert work(tmp_path, made) == first
    assert made[3:] == ["b"]


KILLED = """
import json, os, signal, sys
from pathlib import Path
from components.base import Cache
from components.conversation import Recording, work_through, write_documents

def make(recording, step):
    print(json.dumps(recording.name), flush=True)
    if recording.name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"plain": "whole"}

made = work_through(
    [Recording(name, Path(name), "fold", None, ()) for name in "abc"],
    ["plain"],
    lambda recording: [recording.name],
    make,
    suffix=".txt",
    cache=Cache(Path(sys.argv[1]) / "cache"),
)
write_documents(Path(sys.argv[1]) / "out", made)
"""


def test_a_killed_process_leaves_what_is_whole_and_the_next_goes_on_there(tmp_path: Path) -> None:
    def run(killed_at: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), killed_at],
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path), OMP_NUM_THREADS="1"),
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    assert run("b") == (-signal.SIGKILL, ["a", "b"])
    assert not (tmp_path / "out").exists()
    assert run("nowhere") == (0, ["b", "c"])
    assert dict(read_documents(tmp_path / "out", "plain")) == dict.fromkeys("abc", "whole")


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})


def made_by(
    make: Callable[[Recording, Callable[[float], None]], Mapping[str, str]],
    folder: Path,
    names: str,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Document]:
    return work_through(
        corpus(*names),
        ["plain"],
        lambda recording: [recording.name],
        make,
        suffix=".txt",
        cache=Cache(folder),
        progress=progress,
    )


@pytest.mark.usefixtures("two_cores")
def test_two_recordings_at_a_time_come_in_their_order(tmp_path: Path) -> None:
    together = threading.Barrier(2)
    at_work: list[int] = []
    shares: list[tuple[int, int]] = []

    def make(recording: Recording, _: object) -> Mapping[str, str]:
        together.wait(60)  # passes only where two are at work
        at_work.append(cores())
        if recording.name in "ac":
            threading.Event().wait(0.02)  # the second is ready first
        return {"plain": recording.name}

    documents = list(made_by(make, tmp_path, "abcd", lambda *done: shares.append(done)))
    assert [document.text for document in documents] == list("abcd")
    assert at_work == [1] * 4
    assert shares == [(n, 4) for n in range(1, 5)]


@pytest.mark.usefixtures("two_cores")
def test_where_one_fails_the_other_ends_and_what_was_made_stays(tmp_path: Path) -> None:
    begun, ended = threading.Event(), list[str]()

    def make(recording: Recording, step: Callable[[float], None]) -> Mapping[str, str]:
        if recording.name == "b":
            begun.wait(60)
            raise InputError("b is no sound")
        if recording.name == "c":
            begun.set()
            try:
                while True:
                    step(0.5)
            except Stopped:
                ended.append(recording.name)
                raise
        return {"plain": recording.name}

    with pytest.raises(InputError, match="b is no sound"):
        list(made_by(make, tmp_path, "abcd"))
    assert ended == ["c"]
    kept = [path.read_text() for path in tmp_path.rglob("*.txt")]
    assert {"a"} <= set(kept) <= {"a", "d"}  # d may have been begun and done
    again: list[str] = []

    def mended(recording: Recording, _: object) -> Mapping[str, str]:
        again.append(recording.name)
        return {"plain": recording.name}

    assert [d.text for d in made_by(mended, tmp_path, "abcd")] == list("abcd")
    assert sorted(again) == sorted(set("abcd") - set(kept))
