"""Keys are hashed, found, limited, taken away; a broken file lets nobody in."""

import hashlib
import stat
from pathlib import Path

import pytest

from components.base import InputError
from serving.keys import Key, Keys, add_key, main, read_keys


def test_a_key_is_made_once_and_only_its_hash_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.txt"
    assert main([str(path), "web-team", "--per-minute", "600"]) == 0
    key = capsys.readouterr().out.strip()
    assert key not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert Keys(path).find(key) == Key("web-team", digest, 600)
    assert Keys(path).find(key + "x") is None
    assert main([str(path), "web-team"]) == 2
    assert "already" in capsys.readouterr().err


def test_a_last_line_without_an_end_stays_a_line(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    by_hand = hashlib.sha256(b"secret").hexdigest()
    path.write_text(f"kim {by_hand} operator")
    key = add_key(path, "web")
    assert Keys(path).find("secret") == Key("kim", by_hand, operator=True)
    found = Keys(path).find(key)
    assert found is not None and found.name == "web"


def test_keys_come_and_go_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    first = add_key(path, "first")
    keys = Keys(path)
    second = add_key(path, "second")
    assert keys.find(second) == read_keys(path)[1]
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert keys.find(first) is None
    path.write_text("broken\n")
    with pytest.raises(InputError, match="line 1"):
        keys.find(second)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("name", "line 2: is not"),
        ("name abc", "line 2: is not"),
        (f"name {'0' * 64} many", "“many” is no number"),
        (f"name {'0' * 64} ²", "“²” is no number"),
        (f"name {'0' * 64} 5 6", "line 2: is not"),
        (f"name {'0' * 64} operator 5", "line 2: is not"),
        ("name operator", "line 2: is not"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(f"# keys\n{line}\n")
    with pytest.raises(InputError, match=words):
        Keys(path)


def test_who_may_be_a_reviewer_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    assert main([str(path), "listeners", "--reviewer"]) == 0
    add_key(path, "both", 60, reviewer=True)
    add_key(path, "web", 60)
    told = [(key.name, key.per_minute, key.reviewer) for key in read_keys(path)]
    assert told == [("listeners", None, True), ("both", 60, True), ("web", 60, False)]


def test_who_may_be_an_operator_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    assert main([str(path), "kim", "--operator"]) == 0
    key = add_key(path, "lee", 60, reviewer=True, operator=True)
    add_key(path, "web", 60)
    told = [(key.name, key.per_minute, key.reviewer, key.operator) for key in read_keys(path)]
    assert told == [
        ("kim", None, False, True), ("lee", 60, True, True), ("web", 60, False, False)
    ]  # fmt: skip
    path.write_text(path.read_text().replace("reviewer operator", "operator reviewer"))
    found = Keys(path).find(key)
    assert found and found.reviewer and found.operator, "in any order"


def test_a_name_is_one_word(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no name"):
        add_key(tmp_path / "keys.txt", "two words")
