"""`moodline backup` and `moodline restore`, as people run them."""

import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
import threading
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.config import Settings
from components.register import download, list_versions
from components.traffic import FeedbackStore, TurnLog
from pipelines.cli.main import run
from pipelines.trigger import Ledger
from serving.settings import ServeSettings
from serving.voices import VoicePrint, VoiceStore
from tests.pipelines.keeping.conftest import answer

Says = Callable[..., str]


@pytest.fixture
def says(capfd: pytest.CaptureFixture[str]) -> Says:
    """Runs a command; what it printed, errors last."""

    def command(*arguments: object, status: int = 0) -> str:
        capfd.readouterr()
        assert run([str(a) for a in arguments]) == status, capfd.readouterr().err
        shown = capfd.readouterr()
        return shown.out + shown.err

    return command


def contents(settings: Settings) -> dict[str, Any]:
    """All that a home says of itself."""
    with closing(TurnLog(settings.log, settings.feedback_url)) as log:
        turns = log.window().to_pylist()
    with closing(Ledger(settings.trigger_url)) as ledger:
        causes = [asdict(entry) for entry in ledger.entries()]
    feedback = [asdict(entry) for entry in FeedbackStore.read(settings.feedback_url)]
    return {"turns": turns, "feedback": feedback, "causes": causes}


def registry(says: Says) -> tuple[str, str]:
    return says("registry", "list", "--json"), says("registry", "history", "--json")


def test_a_home_comes_back_as_it_was_while_it_was_written(
    home: Settings, says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, versions = contents(home), registry(says)
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            answer(home, f"meanwhile-{number}")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        told = says("backup", tmp_path / "b.tar")
    finally:
        done.set()
        writer.join()
    assert "files" in told and "The private signing key is not in it" in told
    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o600
    shutil.move(home.home, tmp_path / "lost")  # nothing may still be read from there

    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "elsewhere" / "new"))
    told = says("restore", tmp_path / "b.tar")
    assert "What was erased since then is back" in told
    new = Settings()
    assert stat.S_IMODE(new.home.stat().st_mode) == 0o700
    after = contents(new)
    assert after["feedback"] == before["feedback"] and after["causes"] == before["causes"]
    assert after["turns"][: len(before["turns"])] == before["turns"]
    assert registry(says) == versions
    assert [version.signature for version in list_versions(new)] == ["valid"] * 3
    assert download("production", tmp_path / "served", new).joinpath("model.onnx").is_file()
    says("registry", "rollback", "--actor", "eve")
    assert "production" in list_versions(new)[-1].aliases
    # The key that names recordings and the sound that was kept belong together.
    says("log", "erase", "call-2")
    assert not list((new.log / "audio").glob("day=*/*.call-2.flac"))
    assert len(list((new.log / "audio").glob("day=*/*.call-1.flac"))) == 1
    (upload,) = (new.home / "serving" / "store" / "uploads").iterdir()
    assert upload.read_bytes() == b"RIFF sound"
    assert not (new.home / "signing" / "private.pem").exists()
    assert not (new.home / ".restore").exists()


def test_the_private_key_goes_along_where_that_was_asked_for_and_voice_prints_never(
    home: Settings, says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(VoiceStore(home.home, ServeSettings())) as voices:
        voices.keep("", "Ann", VoicePrint(np.ones(8), "digest"))
    says("backup", tmp_path / "b.tar", "--with-signing-key")
    with tarfile.open(tmp_path / "b.tar") as archive:
        assert not [name for name in archive.getnames() if "voices" in name]
    assert np.ones(8, "<f4").tobytes() not in (tmp_path / "b.tar").read_bytes()
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "new"))
    says("restore", tmp_path / "b.tar")
    key = Path("signing/private.pem")
    assert (tmp_path / "new" / key).read_bytes() == (home.home / key).read_bytes()
    assert stat.S_IMODE((tmp_path / "new" / key).stat().st_mode) == 0o600


def test_a_database_moves_from_postgresql_to_sqlite_and_back(
    home: Settings,
    says: Says,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    database: Callable[[str], str],
) -> None:
    before = contents(home)
    says("backup", tmp_path / "one.tar")
    server = database(f"kept-{uuid.uuid4().hex[:8]}") + "&options=-ctimezone%3DAsia/Tokyo"
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "second"))
    for name in ("FEEDBACK_URL", "TRIGGER_URL", "SERVE_STORE"):
        monkeypatch.setenv(f"MOODLINE_{name}", server)
    says("restore", tmp_path / "one.tar")
    assert contents(Settings()) == before
    answer(Settings(), "later")  # its number is a new one
    before = contents(Settings())
    says("backup", tmp_path / "two.tar")

    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "third"))
    told = says("restore", tmp_path / "two.tar", status=2)
    assert "already" in told and len(told.strip().splitlines()) == 1
    assert not (tmp_path / "third" / "mlflow.db").exists()
    for name in ("FEEDBACK_URL", "TRIGGER_URL", "SERVE_STORE"):
        monkeypatch.delenv(f"MOODLINE_{name}")
    says("restore", tmp_path / "two.tar")
    assert contents(Settings()) == before


def test_beside_a_registry_on_a_server_the_rest_is_kept(
    home: Settings, says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says("backup", tmp_path / "all.tar")
    before = contents(home)
    monkeypatch.setenv("MOODLINE_MLFLOW_URI", "http://127.0.0.1:9")
    says("backup", tmp_path / "rest.tar", "--without-stores")
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "new"))
    told = says("restore", tmp_path / "all.tar", status=2)
    assert "holds a registry, and MOODLINE_MLFLOW_URI names another one" in told
    says("restore", tmp_path / "rest.tar")
    assert contents(Settings()) == before
    assert not (tmp_path / "new" / "mlflow.db").exists()
    assert list((tmp_path / "new" / "signing").glob("*.pub"))


def test_a_registry_in_sqlite_is_kept_where_its_files_lie_in_a_store(
    home: Settings, says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says("backup", tmp_path / "all.tar")
    versions = registry(says)
    monkeypatch.setenv("MOODLINE_MLFLOW_ARTIFACTS", "s3://bucket/registry")
    monkeypatch.setenv("MOODLINE_SERVE_FOLDER", "s3://bucket/jobs")
    told = says("backup", tmp_path / "rest.tar", status=2)
    assert "the registry's files at s3://bucket/registry and uploads of jobs at s3://bucket" in told
    says("backup", tmp_path / "rest.tar", "--without-stores")
    with tarfile.open(tmp_path / "rest.tar") as tar:
        assert [n for n in tar.getnames() if n.startswith("registry/")] == ["registry/mlflow.db"]
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "new"))
    told = says("restore", tmp_path / "all.tar", status=2)
    assert "MOODLINE_MLFLOW_ARTIFACTS names a store" in told
    says("restore", tmp_path / "rest.tar")
    assert registry(says) == versions


def test_a_home_that_is_not_empty_stays_as_it_is(
    home: Settings, says: Says, tmp_path: Path
) -> None:
    says("backup", tmp_path / "b.tar")
    assert "is there already" in says("backup", tmp_path / "b.tar", status=2)
    before = contents(home)
    told = says("restore", tmp_path / "b.tar", status=2)
    assert "restore into an empty home" in told and len(told.strip().splitlines()) == 1
    assert contents(home) == before


def rewritten(path: Path, **changes: bytes | None) -> None:
    """Write an archive anew with other files in it, its manifest unchanged."""
    with tarfile.open(path) as tar:
        files = {e.name: tar.extractfile(e).read() for e in tar}  # type: ignore[union-attr]
    files |= {name: content for name, content in changes.items() if content is not None}
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def other_bytes(path: Path) -> None:
    rewritten(path, **{"databases/feedback.db": b"something else"})


def out_of_the_folder(path: Path) -> None:
    content = json.dumps({
        "format": 1, "moodline": "0.1.0", "made": "2026-01-01T00:00:00+00:00", "artifacts": "",
        "files": {"../evil": hashlib.sha256(b"x").hexdigest()},
    }).encode()  # fmt: skip
    path.unlink()
    with tarfile.open(path, "w") as tar:
        for name, text in {"../evil": b"x", "manifest.json": content}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))


def a_link(path: Path) -> None:
    path.unlink()
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("log/key")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)


def foreign(path: Path) -> None:
    path.write_bytes(b"no archive at all" * 100)


def newer(path: Path) -> None:
    rewritten(path, **{"manifest.json": b'{"format": 2, "moodline": "9.9"}'})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_short, "is damaged (unexpected end of data)"),
        (other_bytes, "databases/feedback.db is not what was written"),
        (out_of_the_folder, "no plain file inside a folder"),
        (a_link, "no plain file inside a folder"),
        (foreign, "is no backup of Moodline"),
        (newer, "made by Moodline 9.9, which is newer"),
        (Path.unlink, "no such file"),
    ],
)
def test_a_damaged_archive_restores_nothing(
    damage: Callable[[Path], None], words: str, says: Says, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    answer(Settings(), "call-1")
    says("backup", tmp_path / "b.tar")
    damage(tmp_path / "b.tar")
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "new"))
    told = says("restore", tmp_path / "b.tar", status=2)
    assert words in told
    assert len(told.strip().splitlines()) == 1
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "evil").exists()


def test_what_cannot_be_backed_up_is_said_in_a_line(
    says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "empty"))
    assert "holds nothing to back up" in says("backup", tmp_path / "b.tar", status=2)
    monkeypatch.setenv("MOODLINE_MLFLOW_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MOODLINE_LOG", "s3://bucket/log")
    told = says("backup", tmp_path / "b.tar", status=2)
    assert "the registry at http://127.0.0.1:9 and kept sound at s3://bucket/log cannot be" in told
    assert "the rest with --without-stores" in told and len(told.strip().splitlines()) == 1
    monkeypatch.delenv("MOODLINE_MLFLOW_URI")
    monkeypatch.delenv("MOODLINE_LOG")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "trigger.db").write_bytes(b"no database" * 1000)
    assert "cannot be copied" in says("backup", tmp_path / "b.tar", status=2)
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"]
