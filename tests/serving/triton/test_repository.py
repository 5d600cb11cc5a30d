"""What stands in the model repository."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.base import InputError
from serving.triton.repository import export_version, serve_versions
from tests.serving.steered import HOST

MakeModel = Callable[[Path, int], Path]


def test_a_version_lies_under_the_registrys_number(models: dict[int, Path], tmp_path: Path) -> None:
    folder = export_version(models[3], tmp_path, 3)
    assert folder == tmp_path / "moodline" / "3"
    files = sorted(path.name for path in folder.iterdir() if path.is_file())
    assert files == ["model.onnx", "model.py"]
    assert (folder / "model.onnx").read_bytes() == (models[3] / "model.onnx").read_bytes()


def test_the_configuration_says_what_the_model_takes_and_gives(
    models: dict[int, Path], tmp_path: Path
) -> None:
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    export_version(models[3], tmp_path, 3)
    text = serve_versions(tmp_path, [3], HOST).read_text()
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert config.name == "moodline"
    assert [(i.name, list(i.dims), i.allow_ragged_batch) for i in config.input] == [
        ("AUDIO", [-1], True),
        ("INPUT_IDS", [-1], True),
    ]
    assert [(o.name, list(o.dims)) for o in config.output] == [
        ("PROBABILITIES", [4]),
        ("EMBEDDING", [8]),
    ]
    assert list(config.version_policy.specific.versions) == [3]


def test_a_registry_made_anew_replaces_its_first_versions(
    models: dict[int, Path], tmp_path: Path
) -> None:
    export_version(models[3], tmp_path, 1)
    folder = export_version(models[4], tmp_path, 1)
    assert (folder / "model.onnx").read_bytes() == (models[4] / "model.onnx").read_bytes()


def test_the_same_version_is_not_written_twice(models: dict[int, Path], tmp_path: Path) -> None:
    before = export_version(models[3], tmp_path, 1).stat().st_ino
    assert export_version(models[3], tmp_path, 1).stat().st_ino == before


def test_a_model_without_its_export_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match=r"holds no model\.onnx"):
        export_version(tmp_path / "model", tmp_path / "repository", 1)
    assert not (tmp_path / "repository").exists()


def test_only_exported_versions_can_be_served(models: dict[int, Path], tmp_path: Path) -> None:
    export_version(models[3], tmp_path, 3)
    with pytest.raises(InputError, match="version 4 is not in the model repository"):
        serve_versions(tmp_path, [3, 4], HOST)
    with pytest.raises(InputError, match="no version"):
        serve_versions(tmp_path, [], HOST)
    assert not (tmp_path / "moodline" / "config.pbtxt").exists()
