"""A home that version 0.1 made: what users have, and what must go on working.

`tests/data/home-0.1.tar.xz` holds the home as that version wrote it, and `expected.json`: what that
version read from it. `tests/data/home-0.1.py.txt` is the script that made both.
"""

import json
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli.main import run

STORED = Path(__file__).resolve().parents[2] / "data" / "home-0.1.tar.xz"
MADE_AT = "/srv/moodline"
Json = Callable[..., Any]


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    with tarfile.open(STORED) as archive:
        archive.extractall(folder)  # our own archive; Debian's 3.11.2 knows no filter yet
    return folder


@pytest.fixture(scope="session")
def expected(unpacked: Path) -> dict[str, Any]:
    """What version 0.1 read from its home."""
    content: dict[str, Any] = json.loads((unpacked / "expected.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture
def home(unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home in a place of its own: the paths in it are what they were made with there."""
    home = tmp_path / "home"
    shutil.copytree(unpacked / "home", home)
    for name in ("mlflow.db", "trigger.db"):
        with sqlite3.connect(home / name) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                for column in database.execute(f'PRAGMA table_info("{table}")').fetchall():
                    change = f'UPDATE "{table}" SET "{column[1]}" = replace("{column[1]}", ?, ?)'
                    holds = f' WHERE instr("{column[1]}", ?)'
                    database.execute(change + holds, (MADE_AT, str(home), MADE_AT))
    pointer = home / "serving" / "served-3000.json"
    pointer.write_text(pointer.read_text().replace(MADE_AT, str(home)))
    monkeypatch.setenv("MOODLINE_HOME", str(home))
    return home


@pytest.fixture
def moodline(home: Path, capfd: pytest.CaptureFixture[str]) -> Json:
    """Runs a command on the home; its JSON."""

    def command(*arguments: str, status: int = 0) -> Any:
        capfd.readouterr()
        assert run([*arguments, "--json"]) == status, capfd.readouterr().err
        return json.loads(capfd.readouterr().out)

    return command
