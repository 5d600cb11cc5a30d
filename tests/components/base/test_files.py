"""A file or folder is written whole or not at all, and what cannot be written is known before."""

import os
import subprocess
from pathlib import Path

import pytest

from components.base import (
    InputError,
    atomic_path,
    check_new_folder,
    check_writable,
    close_to_others,
)
from components.conversation import Turn, read_turns, write_turns

TURNS = [Turn("r", 0.5, 1.25, "A", "hello there", "sad"), Turn("r", 2.0, 3.0, "unknown", "x")]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "f.txt"
    target.write_text("old")
    with pytest.raises(KeyError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_takes_the_place_of_a_full_one(tmp_path: Path) -> None:
    target = tmp_path / "d"
    for text in ("old", "new"):
        with atomic_path(target) as temporary:
            temporary.mkdir()
            (temporary / "f").write_text(text)
    assert (target / "f").read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_like_is_replaced_by_like_only(tmp_path: Path) -> None:
    folder, file = tmp_path / "results", tmp_path / "file"
    folder.mkdir()
    (folder / "precious").touch()
    file.touch()
    with pytest.raises(InputError, match="results: is a folder; name a file"):
        write_turns(folder, TURNS)
    with (
        pytest.raises(InputError, match="file: is a file; name a folder"),
        atomic_path(file) as temporary,
    ):
        temporary.mkdir()
    with pytest.raises(InputError, match=r"turns\.json: cannot be written: .* exists"):
        write_turns(file / "turns.json", TURNS)
    with pytest.raises(InputError, match="results: is not empty; name a new folder"):
        check_new_folder(folder)
    assert sorted(tmp_path.rglob("*")) == [file, folder, folder / "precious"]


def test_a_link_stays_and_what_it_points_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "turns.json", tmp_path / "link.json"
    target.write_text("old")
    target.chmod(0o600)  # a private one stays private
    link.symlink_to(target)
    write_turns(link, TURNS)
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    assert read_turns(target) == TURNS
    assert list(target.parent.iterdir()) == [target]
    (tmp_path / "to-folder").symlink_to(tmp_path / "there")
    with atomic_path(tmp_path / "to-folder") as temporary:
        temporary.mkdir()
    assert (tmp_path / "to-folder").is_symlink()
    assert list((tmp_path / "there").iterdir()) == []


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        check_writable(path)
        with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
            write_turns(path, TURNS)
            assert "hello there" in reader.communicate()[0]
    assert pipe.is_fifo()
    assert sorted(tmp_path.iterdir()) == [link, pipe]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "is a folder; name a file"),
        ("", "is a folder; name a file"),
        ("n" * 256, "file name too long"),
        ("file/turns.json", "not a directory"),
    ],
)
def test_what_cannot_be_written_is_known_before(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=message):
        check_writable(tmp_path / name)
    with pytest.raises(InputError, match="/proc/turns: cannot be written"):
        check_writable(Path("/proc/turns"))
    check_writable(tmp_path / "new" / "folders" / "turns.json")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "file", tmp_path / "folder"]


def test_a_name_of_full_length(tmp_path: Path) -> None:
    target = tmp_path / f"{'n' * 250}.json"
    check_writable(target)
    write_turns(target, TURNS)
    assert list(tmp_path.iterdir()) == [target]


def test_a_home_is_closed_and_an_older_one_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    new, older = tmp_path / "a" / "new", tmp_path / "older"
    older.mkdir()
    older.chmod(0o755)
    for _ in range(2):
        for folder in (new, older):
            close_to_others(folder)
            assert folder.stat().st_mode & 0o777 == 0o700
    (line,) = (r.getMessage() for r in caplog.records if r.name == "moodline.migration")
    assert line == f"migrated {older}: only its owner can enter it (its mode was 755)"
