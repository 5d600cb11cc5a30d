"""A folder of recordings without labels."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.base import InputError
from components.conversation import read_manifest, write_manifest
from components.corpus import corpus_digest, read_recordings, recording_files


def tone(path: Path, seconds: float = 0.1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(round(seconds * 16_000)), 16_000)


def test_recordings_are_named_by_their_place(tmp_path: Path) -> None:
    tone(tmp_path / "calls" / "monday" / "first call.wav")
    tone(tmp_path / "calls" / "second.flac")
    (tmp_path / "calls" / "notes.txt").write_text("not a recording")
    recordings = read_recordings(tmp_path / "calls")
    assert [r.name for r in recordings] == ["monday--first_call", "second"]
    write_manifest(tmp_path / "manifest", recordings)
    assert read_manifest(tmp_path / "manifest") == recordings


def test_films_are_taken_and_what_is_left_out_can_be_named(tmp_path: Path) -> None:
    tone(tmp_path / "call.WAV")
    for name in ("._call.wav", "notes.txt", ".hidden/b.wav", "film.mkv", "old.aac", "memo.3gp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    taken, left_out = recording_files(tmp_path)
    assert {path.name for path in taken} == {"call.WAV", "film.mkv", "old.aac", "memo.3gp"}
    assert {path.name for path in left_out} == {"._call.wav", "notes.txt", "b.wav"}


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    tone(tmp_path / "call.wav")
    tone(tmp_path / "header.wav", seconds=0)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "call.mp3").write_text("not a sound, and so no second recording of that name")
    left_out: list[str] = []
    assert [r.name for r in read_recordings(tmp_path, left_out=left_out)] == ["call"]
    names, reasons = zip(*(line.split(": ") for line in left_out), strict=True)
    assert names == tuple(f"{tmp_path / name}" for name in ("call.mp3", "empty.wav", "header.wav"))
    assert reasons[0].startswith("is not audio that can be read")
    assert reasons[1:] == ("the file is empty", "holds no sound that can be decoded")
    (tmp_path / "call.wav").unlink()
    with pytest.raises(InputError, match=r"no recording that can be read; .*call\.mp3"):
        read_recordings(tmp_path)


def test_another_sound_is_another_folder(tmp_path: Path) -> None:
    tone(tmp_path / "a.wav")
    before = corpus_digest(read_recordings(tmp_path))
    assert corpus_digest(read_recordings(tmp_path)) == before
    tone(tmp_path / "a.wav", seconds=0.2)
    assert corpus_digest(read_recordings(tmp_path)) != before


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone: no such folder"):
        read_recordings(tmp_path / "gone")
    with pytest.raises(InputError, match="holds no recordings"):
        read_recordings(tmp_path)
    tone(tmp_path / "a b.wav")
    tone(tmp_path / "a_b.wav")
    with pytest.raises(InputError, match="both would be named a_b"):
        read_recordings(tmp_path)
    (tmp_path / "a_b.wav").write_text("not a sound")
    (tmp_path / "a b.wav").unlink()
    with pytest.raises(InputError, match=r"a_b\.wav"):
        read_recordings(tmp_path)


def test_what_has_no_channel_for_each_speaker_is_left_out_where_that_is_needed(
    tmp_path: Path,
) -> None:
    tone(tmp_path / "one.wav")
    soundfile.write(tmp_path / "two.wav", np.random.default_rng(0).normal(size=(1600, 2)), 16_000)
    assert len(read_recordings(tmp_path)) == 2
    left_out: list[str] = []
    (kept,) = read_recordings(tmp_path, left_out=left_out, by_channel=True)
    assert (kept.name, len(left_out)) == ("two", 1)
    assert "one.wav: has one channel" in left_out[0]
    (tmp_path / "two.wav").unlink()
    with pytest.raises(InputError, match=r"no recording that can be read; .*has one channel"):
        read_recordings(tmp_path, by_channel=True)
