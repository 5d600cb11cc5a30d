"""Models by name: pinned to a commit, they are fetched as of that commit, or not at all."""

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from components.base import InputError
from components.config import (
    Settings,
    is_unpinned,
    load_profile,
    model_digest,
    model_revisions,
    parts_of,
    resolve_model,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's own cache, laid out as its library does it, and no hub."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_a_pinned_model_is_the_folder_of_its_commit(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--team--encoder" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    settings = Settings(home=tmp_path)
    assert resolve_model(f"team/encoder@{COMMIT}", settings) == str(snapshot)
    other = COMMIT.replace("0", "f")
    with pytest.raises(InputError, match=f"^team/encoder@{other}: cannot be fetched") as error:
        resolve_model(f"team/encoder@{other}", settings)
    assert "\n" not in str(error.value)


def test_another_commit_is_other_work(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    names = ("team/encoder", f"team/encoder@{COMMIT}", f"team/encoder@{COMMIT[::-1]}")
    assert len({model_digest(name, settings) for name in names}) == 3


def test_which_names_can_change_their_meaning(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    (tmp_path / "models" / "mine" / "encoder").mkdir(parents=True)
    paper, demo = load_profile("paper"), load_profile("demo")
    assert all(is_unpinned(name.split("@")[0], settings) for name in paper.models)
    assert is_unpinned("large-v2", settings)
    packaged = (*paper.models, *demo.models, "mine/encoder")
    assert not any(is_unpinned(name, settings) for name in packaged)
    assert not is_unpinned(f"team/encoder@{COMMIT}", settings)


def in_the_cache(hub: Path, repository: str, commit: str, **files: str) -> None:
    """A repository as `huggingface_hub` keeps it: what main means, and that commit's files."""
    folder = hub / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for name, text in files.items():
        (snapshot / f"{name}.yaml").write_text(text)


def test_what_a_model_was_is_its_commit_in_the_hubs_cache_or_its_digest(tmp_path: Path) -> None:
    settings, hub = Settings(home=tmp_path), tmp_path / "hub"
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "weights").write_text("w")
    in_the_cache(hub, "team/encoder", COMMIT)
    in_the_cache(hub, "Systran/faster-whisper-large-v2", COMMIT[::-1])
    pinned = f"team/text@{'a' * 40}"
    assert model_revisions(["mine", "team/encoder", "large-v2", pinned, "no/where"], settings) == {
        "mine": model_digest("mine", settings),
        "team/encoder": COMMIT,
        "large-v2": COMMIT[::-1],
        pinned: "a" * 40,
        "no/where": "",
    }


def test_a_pipelines_parts_are_known_by_its_own_configuration(tmp_path: Path) -> None:
    settings, hub = Settings(home=tmp_path), tmp_path / "hub"
    named = "{segmentation: team/parts, embedding: $model/embedding, segmentation_batch_size: 32}"
    in_the_cache(hub, "team/pipeline", COMMIT, config=f"pipeline: {{params: {named}}}")
    in_the_cache(hub, "team/parts", COMMIT[::-1])
    for name in ("team/pipeline", f"team/pipeline@{COMMIT}"):
        parts = parts_of(name, settings)
        assert model_revisions(parts, settings) == {"team/parts": COMMIT[::-1]}
    assert parts_of("no/where", settings) == ()


@pytest.mark.parametrize("name", ["team/encoder@main", "encoder@" + COMMIT, "team/encoder@0123"])
def test_a_pin_is_a_commit(name: str) -> None:
    data = load_profile("demo").model_dump(mode="json")
    data["fusion"]["text"] = name
    with pytest.raises(InputError, match=r"fusion\.text: .*40 hex digits"):
        load_profile(json.dumps(data))
