"""Containers on this machine, as far as that goes without an engine; the rest: tests/containers."""

from pathlib import Path

import pytest

from components.base import Unavailable
from components.config import Settings
from pipelines.cli.main import run as moodline
from pipelines.runners.containers import check_engine, container_arguments


def test_without_an_engine_it_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(Unavailable, match="no Docker engine answers: ") as caught:
        check_engine()
    assert "\n" not in str(caught.value)


def test_the_command_says_so_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    models_home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MOODLINE_MODELS", str(models_home))
    assert moodline(["retrain", "--runner", "docker"]) == 2
    assert "no Docker engine answers" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_steps_find_everything_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in Settings(home=tmp_path / "home").environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("EDITOR", "vi")
    given = container_arguments([str(tmp_path / "corpus")], "run-7")
    mounts = {mount["Target"]: mount["ReadOnly"] for mount in given["mounts"]}
    assert mounts[str(tmp_path / "corpus")] is True
    assert mounts[str(tmp_path / "home")] is False
    assert all(mount["Source"] == mount["Target"] for mount in given["mounts"])
    assert given["environment"]["MOODLINE_HOME"] == str(tmp_path / "home")
    assert given["environment"]["AWS_SECRET_ACCESS_KEY"] == "s3cret"
    assert "EDITOR" not in given["environment"]
    assert given["labels"] == {"moodline.run": "run-7"}
