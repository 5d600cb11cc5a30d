"""Prepared models out of an object store: the right ones, whole, or none."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.base import InputError, Unavailable, Url, tree_digest
from components.config import Settings, fetch_models
from pipelines.cli.main import run
from tests.components.base.objects import Store, object_store
from tests.components.register.stores import BUCKET

MODELS = Url(BUCKET, "models")
FILES = {
    "whisper/model.bin": b"\0" * 3_000_000,
    "whisper/config.json": b"{}",
    "diarizer/embedding/weights.bin": b"weights",
    "diarizer/config.yaml": b"pipeline: {}",
}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with object_store() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        for name, content in FILES.items():
            (MODELS / name).put_bytes(content)
        yield made


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    return Settings()


def held(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_all_models_of_a_store(
    store: Store, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "fetch", str(MODELS), "--json"]) == 0
    assert held(settings.models) == FILES
    fetched = json.loads(capsys.readouterr().out)
    assert fetched == {n: tree_digest(settings.models / n) for n in ("diarizer", "whisper")}
    assert run(["models", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == fetched


def test_what_is_there_with_its_digest_is_not_fetched_again(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    digests = fetch_models(MODELS, settings)
    (settings.models / "whisper" / "config.json").write_text("cut sh")
    digests["a/hub@model"] = "a/hub@model"  # as a version names what no digest is known of
    written = tmp_path / "speech_models.json"
    written.write_text(json.dumps(digests))
    before = len(store.door.asked)
    assert run(["models", "fetch", str(MODELS), "--digests", str(written)]) == 0
    asked = " ".join(store.door.asked[before:])
    assert "whisper/model.bin" in asked
    assert "weights.bin" not in asked
    assert held(settings.models) == FILES


def test_another_digest_is_refused_and_what_was_there_stays(
    store: Store, settings: Settings
) -> None:
    fetch_models(MODELS, settings)
    (MODELS / "whisper" / "config.json").put_bytes(b"[]")
    with pytest.raises(
        InputError, match=r"model whisper there has digest \w{12}, and 000000000000"
    ):
        fetch_models(MODELS, settings, {"whisper": "0" * 64})
    assert held(settings.models) == FILES
    assert {path.name for path in settings.models.iterdir()} == {"whisper", "diarizer"}


@pytest.mark.parametrize(
    ("place", "digests", "says"),
    [
        ("s3://moodline/nothing", None, "no model lies there"),
        ("s3://moodline/models", {"base": "0" * 64}, "there is no model base"),
        ("s3://moodline/models", {"../models/whisper": "0" * 64}, "there is no model ../models"),
        ("s3://absent/models", None, "s3://absent"),
        ("nowhere", None, "nowhere: no such folder"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(
    place: str,
    digests: dict[str, str] | None,
    says: str,
    store: Store,
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = []
    if digests is not None:
        (tmp_path / "digests.json").write_text(json.dumps(digests))
        options = ["--digests", str(tmp_path / "digests.json")]
    assert run(["models", "fetch", place, *options]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert says in line
    assert not settings.models.exists() or not list(settings.models.iterdir())


def test_a_file_s_name_cannot_lead_out_of_the_folder(store: Store, settings: Settings) -> None:
    Url(BUCKET, "models/whisper/../../evil").put_bytes(b"")
    with pytest.raises(InputError, match="cannot have this name"):
        fetch_models(MODELS, settings, {"whisper": "0" * 64})
    assert not settings.models.exists() or not list(settings.models.iterdir())


def test_a_store_that_goes_away_in_the_middle_leaves_no_half_model(
    store: Store, settings: Settings
) -> None:
    # Asked: the models, the first one's files, and its two files; then nothing more.
    store.door.refuse(403, "ExpiredToken", after=4)
    with pytest.raises(Unavailable, match="expired"):
        fetch_models(MODELS, settings)
    assert set(held(settings.models)) == {name for name in FILES if name.startswith("diarizer")}
    store.door.refusal = None
    fetch_models(MODELS, settings)
    assert held(settings.models) == FILES
