"""Voice prints that are kept: per key, replaced, expired, erased; in SQLite and in PostgreSQL."""

import json
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from components.base import InputError, Refused
from pipelines.cli.main import run
from serving.settings import ServeSettings
from serving.voices import VoicePrint, VoiceStore
from serving.voices.store import VOICES
from tests.serving.helpers import running_postgres

VECTOR = np.random.default_rng(1).normal(size=512)
VOICE = VoicePrint(VECTOR / np.linalg.norm(VECTOR), "digest")
Make = Callable[..., VoiceStore]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running_postgres() as (url, _):
        yield url


@pytest.fixture(params=["sqlite", *(["postgres"] if shutil.which("pg_config") else [])])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Opens the store anew."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres")

    def store(**serve: object) -> VoiceStore:
        return VoiceStore(tmp_path, ServeSettings.model_validate({"store": url, **serve}))

    return store


def names(store: VoiceStore, owner: str) -> list[str]:
    return [kept.name for kept in store.of(owner)]


def test_what_is_kept_is_the_key_s_alone(make: Make) -> None:
    mine, others = uuid.uuid4().hex, uuid.uuid4().hex
    store = make()
    kept, is_new = store.keep(mine, "Ann", VOICE)
    assert is_new and (kept.expires - kept.created).days == 180
    assert not store.keep(mine, "Ann", VOICE)[1]
    assert store.keep(others, "Ann", VoicePrint(VOICE.vector[::-1], "digest"))[1]
    np.testing.assert_allclose(make().find(mine, ["Ann"])["Ann"].vector, VOICE.vector, atol=1e-7)
    assert store.erase(mine, "Ann") and not store.erase(mine, "Ann")
    assert (names(store, mine), names(store, others)) == ([], ["Ann"])
    with pytest.raises(InputError, match="speaker Ann: no voice print of that name is kept"):
        store.find(mine, ["Ann"])
    assert {kept.owner for kept in make().of(None)} >= {others}


def test_a_key_may_have_so_many(make: Make) -> None:
    owner, store = uuid.uuid4().hex, make(voice_prints_each=2)
    for name in ("Ann", "Bob", "Bob"):
        store.keep(owner, name, VOICE)
    with pytest.raises(Refused, match="2 voice prints are kept"):
        store.keep(owner, "Cat", VOICE)
    assert names(store, owner) == ["Ann", "Bob"]
    store.keep(uuid.uuid4().hex, "Cat", VOICE)


def test_one_whose_time_is_over_is_neither_found_nor_left(make: Make) -> None:
    owner, store = uuid.uuid4().hex, make()
    store.keep(owner, "Ann", VOICE)
    later = make(voice_print_days=1e-9)
    assert names(later, owner) == []
    with pytest.raises(InputError, match="no voice print"):
        later.find(owner, ["Ann"])
    assert not store.erase_expired() and names(store, owner) == ["Ann"]
    assert later.erase_expired() and names(store, owner) == []


def test_looking_makes_no_table(make: Make, tmp_path: Path) -> None:
    store = make()
    database = store._database
    if not database.is_sqlite:
        with database.begin() as connection:
            connection.execute(sa.text("DROP TABLE moodline_voices"))
            connection.execute(sa.text("DROP TABLE moodline_voices_revision"))
        store = make()
    assert store.of(None) == [] and not store.erase("", "Ann") and not store.erase_expired()
    assert list(tmp_path.iterdir()) == []
    if not database.is_sqlite:
        with database.begin() as connection:
            assert not sa.inspect(connection).has_table(VOICES.name)
    store.keep("", "Ann", VOICE)
    assert names(make(), "") == ["Ann"]


def test_nothing_is_left_of_what_was_erased_and_the_file_is_private(tmp_path: Path) -> None:
    with closing(VoiceStore(tmp_path, ServeSettings())) as store:
        store.keep("", "Ann", VOICE)
        before, after = (np.asarray(v, "<f4").tobytes() for v in (VOICE.vector, -VOICE.vector))
        (file,) = tmp_path.rglob("*.db")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.name == "store-voices.db"  # backups take store.db
        store.keep("", "Ann", VoicePrint(-VOICE.vector, "digest"))
        assert not found(tmp_path, before) and found(tmp_path, after)
        store.erase("", "Ann")
        assert not found(tmp_path, after) and not found(tmp_path, b"Ann")


def found(folder: Path, content: bytes) -> bool:
    """Whether a file holds it, or a part of it that fits on one page of SQLite's."""
    return any(content[:200] in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_voice_of_another_model_is_refused_and_none_is_printed() -> None:
    assert VOICE.heard_by("digest", "Ann") is VOICE.vector
    with pytest.raises(InputError, match="speaker Ann: was enrolled with another speech model"):
        VOICE.heard_by("another", "Ann")
    assert "vector" not in repr(VOICE)


def test_the_command_line_lists_and_erases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path))
    assert run(["speakers", "list"]) == 0
    assert "No voice print is kept" in capsys.readouterr().out and not list(tmp_path.iterdir())
    with closing(VoiceStore(tmp_path, ServeSettings())) as store:
        store.keep("web", "Ann", VOICE)
        store.keep("", "Bob", VOICE)
    assert run(["speakers", "list"]) == 0
    printed = capsys.readouterr().out
    assert "Ann" in printed and "web" in printed and "Bob" in printed
    assert run(["speakers", "erase", "Ann"]) == 2
    assert "one of an API key needs --owner" in capsys.readouterr().err
    assert run(["speakers", "erase", "Ann", "--owner", "web"]) == 0
    assert run(["speakers", "erase", "Ann Lee"]) == 2
    capsys.readouterr()
    assert run(["speakers", "list", "--json"]) == 0
    (left,) = json.loads(capsys.readouterr().out)
    assert set(left) == {"name", "owner", "created", "expires"} and left["name"] == "Bob"
