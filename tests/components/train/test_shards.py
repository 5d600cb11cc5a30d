"""The shards of encoders' states: few, whole, and the same whatever was computed when."""

import logging
import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from components.base import Cache, DiskFull, Unavailable, file_digest
from components.conversation import FEEDBACK, Recording
from components.fusion.model import MoodlineModel
from components.fusion.tokens import pretrained_tokenizer
from components.train import shards as form
from components.train.data import Row, Sound, read_rows
from components.train.shards import EncodedWindow, Shards, States
from components.train.states import encode_rows

Corpus = tuple[Path, list[Recording]]
Encode = Callable[..., States]


class Killed(Exception):
    """What stops a run from outside."""


@pytest.fixture(scope="module")
def encode(tiny_models: Path, corpus: Corpus) -> Encode:
    """Encodes rows into a folder; `encode.runs` counts the clips that went through the encoder."""
    model = MoodlineModel.from_encoders(
        str(tiny_models / "tiny-wave"), str(tiny_models / "tiny-text"), heads=4
    )
    tokenizer = pretrained_tokenizer(str(tiny_models / "tiny-text"))
    runs: list[str] = []
    model.acoustic.register_forward_hook(lambda *_: runs.append("clip"))

    def made(
        folder: Path, rows: Sequence[Row], report: Callable[[int], None] = lambda _: None
    ) -> States:
        runs.clear()
        sound = Sound(corpus[1], rows)
        return encode_rows(model, tokenizer, rows, sound=sound, cache=Cache(folder), report=report)

    made.runs = runs  # type: ignore[attr-defined]
    return made


def numbers(states: States) -> list[np.ndarray]:
    return [x for turn in states for w in turn for x in (w.acoustic, w.text, w.probe)]


def same(one: States, other: States) -> bool:
    pairs = zip(numbers(one), numbers(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def window(number: float, frames: int = 1) -> EncodedWindow:
    return EncodedWindow(
        np.full((frames, 4), number, "f4"), np.full((2, 3), number, "f4"), 1.0, np.ones(5, "f4")
    )


def test_all_turns_are_in_one_file_and_come_back_in_any_order(
    encode: Encode, corpus: Corpus, tmp_path: Path
) -> None:
    rows = read_rows(corpus[0])
    states = encode(tmp_path, rows)
    (path,) = tmp_path.glob("states/*/*")
    assert path.name.endswith(f"-{file_digest(path)[:32]}.safetensors")
    backwards = encode(tmp_path, rows[::-1])
    assert encode.runs == []  # type: ignore[attr-defined]
    assert np.array_equal(backwards[0][0].acoustic, states[len(rows) - 1][0].acoustic)
    assert same(states[3:5], encode(tmp_path, rows[3:5]))


def test_windows_of_different_lengths_come_back(tmp_path: Path) -> None:
    store = Shards(Cache(tmp_path), "e")
    turns = [[window(1, 3), window(2, 1)], [window(3, 2)]]
    store.write([(bytes([i] * 16), turn) for i, turn in enumerate(turns)])
    (shard,) = store.read()
    for row, turn in enumerate(turns):
        for back, given in zip(shard.windows(row), turn, strict=True):
            assert np.array_equal(back.acoustic, given.acoustic)
            assert np.array_equal(back.text, given.text)
        assert shard.sizes(row) == [(w.weight, len(w.acoustic)) for w in turn]


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_shard_is_told_in_a_line_and_made_again(
    encode: Encode, corpus: Corpus, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    rows = read_rows(corpus[0])
    before = encode(tmp_path / "whole", rows)
    encode(tmp_path / "cut", rows[:10])
    (path,) = (tmp_path / "cut").glob("states/*/*")
    encode(tmp_path / "cut", rows[:20])
    content = path.read_bytes()
    damaged = content[: len(content) // 2] if damage == "cut" else content[:-1] + b"?"
    path.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        after = encode(tmp_path / "cut", rows)
    assert len(encode.runs) == len(rows) - 10  # type: ignore[attr-defined]
    assert same(before, after)
    (told,) = [r.getMessage() for r in caplog.records if r.name.endswith("shards")]
    assert told == f"{path}: is damaged, or was cut short; its turns are encoded again"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a disk that is full: no file grows beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_room_is_a_line_and_leaves_nothing_half_written(
    encode: Encode, corpus: Corpus, tmp_path: Path
) -> None:
    rows = read_rows(corpus[0])
    with files_of_at_most(1_000), pytest.raises(DiskFull) as told:
        encode(tmp_path, rows)
    assert "has no room for the encoders' states" in str(told.value)
    assert "\n" not in str(told.value) and told.value.exit_status == 2
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(encode(tmp_path, rows)) == len(rows)


def test_what_was_encoded_before_a_kill_is_not_encoded_again(
    encode: Encode, corpus: Corpus, tmp_path: Path
) -> None:
    rows = read_rows(corpus[0])

    def kill(done: int) -> None:
        if done == 12:
            raise Killed

    with pytest.raises(Killed):
        encode(tmp_path, rows, kill)
    after = encode(tmp_path, rows)
    assert len(encode.runs) == len(rows) - 12  # type: ignore[attr-defined]
    assert same(after, encode(tmp_path / "through", rows))


def test_little_is_encoded_before_it_can_be_kept(
    encode: Encode, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.train.states.AHEAD", 1)
    rows = read_rows(corpus[0])
    seen: list[int] = []

    def wait(done: int) -> None:
        if done == 1:  # as while a shard goes to a store
            time.sleep(0.5)
            seen.append(len(encode.runs))  # type: ignore[attr-defined]

    encode(tmp_path, rows, wait)
    assert seen[0] <= (os.cpu_count() or 1) + 1 < len(rows)


def test_states_that_are_deleted_while_they_are_used_are_a_line(
    encode: Encode, corpus: Corpus, tmp_path: Path
) -> None:
    rows = read_rows(corpus[0])[:4]
    states = encode(tmp_path, rows)
    (path,) = tmp_path.glob("states/*/*")
    path.unlink()  # as another run does that joins it with others
    with pytest.raises(Unavailable, match="was deleted while it is trained on") as told:
        states[0]
    assert str(path) in str(told.value) and "\n" not in str(told.value)

    def erase(_: int) -> None:
        for each in tmp_path.glob("states/*/*"):
            each.unlink()

    with pytest.raises(Unavailable, match="was deleted while it is trained on"):
        encode(tmp_path, rows, erase)


def test_many_small_shards_are_joined(encode: Encode, corpus: Corpus, tmp_path: Path) -> None:
    rows = read_rows(corpus[0])
    for number in range(form.SMALL + 1):
        encode(tmp_path, rows[: number + 1])
    (path,) = tmp_path.glob("states/*/*")
    runs = encode(tmp_path, rows[: form.SMALL + 1])
    assert encode.runs == []  # type: ignore[attr-defined]
    assert same(runs, encode(tmp_path / "new", rows[: form.SMALL + 1]))
    assert file_digest(path)[:32] in path.name


def test_states_of_what_came_back_lie_where_they_are_found_to_be_erased(
    encode: Encode, corpus: Corpus, tmp_path: Path
) -> None:
    mine, *others = read_rows(corpus[0])[:4]
    came_back = Row(mine.recording, FEEDBACK, mine.start, mine.end, mine.text, mine.label, None)
    assert len(encode(tmp_path, [came_back, *others])) == 4
    (owned,) = tmp_path.glob(f"states/of-{mine.recording}/*")
    assert len(form.Shard(owned)) == 1
    owned.unlink()
    encode(tmp_path, [came_back, *others])
    assert len(encode.runs) == 1  # type: ignore[attr-defined]
