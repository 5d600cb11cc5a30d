"""What stands in the model repository."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

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


def test_shapes_are_of_the_versions_labels_and_open_where_they_differ(
    models: dict[int, Path], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    six = make_model(tmp_path / "six", 6, labels=("a", "b", "c", "d", "e", "f"))
    for version, folder in ((3, models[3]), (4, models[4]), (6, six)):
        export_version(folder, tmp_path, version)

    def sizes(*versions: int) -> list[list[int]]:
        text = serve_versions(tmp_path, versions, HOST).read_text()
        outputs = text_format.Parse(text, model_config_pb2.ModelConfig()).output
        return [list(output.dims) for output in outputs]

    assert sizes(6) == [[6], [8]]
    assert sizes(3, 4) == [[4], [8]]
    assert sizes(3, 6) == [[-1], [8]]


def test_a_graph_with_other_labels_than_answers_is_refused(
    make_model: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_model(tmp_path / "model", 3, labels=("calm", "tense"))
    graph = onnx.load(folder / "model.onnx")
    onnx.helper.set_model_props(graph, {"emotions": "calm,tense,sad"})
    onnx.save(graph, folder / "model.onnx")
    export_version(folder, tmp_path, 3)
    with pytest.raises(InputError, match=r"version 3 gives 2 probabilities for 3 labels \(calm, "):
        serve_versions(tmp_path, [3], HOST)
