"""Models by name: pinned to a commit, they are fetched as of that commit, or not at all."""

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from components.base import InputError
from components.config import Settings, is_unpinned, load_profile, model_digest, resolve_model

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
    assert all(is_unpinned(name, settings) for name in paper.models)
    assert not any(is_unpinned(name, settings) for name in (*demo.models, "mine/encoder"))
    assert not is_unpinned(f"team/encoder@{COMMIT}", settings)


@pytest.mark.parametrize("name", ["team/encoder@main", "encoder@" + COMMIT, "team/encoder@0123"])
def test_a_pin_is_a_commit(name: str) -> None:
    data = load_profile("demo").model_dump(mode="json")
    data["fusion"]["text"] = name
    with pytest.raises(InputError, match=r"fusion\.text: .*40 hex digits"):
        load_profile(json.dumps(data))
