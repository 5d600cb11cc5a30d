"""The file that says which version is served."""

from pathlib import Path

import pytest

from components.conversation import InputError
from serving.served import CurrentModel, Served, write_pointer


def test_the_service_follows_the_pointer(models: dict[int, Path], tmp_path: Path) -> None:
    pointer = tmp_path / "served.json"
    current = CurrentModel(pointer)
    with pytest.raises(InputError, match="no model version is served"):
        current.get()
    write_pointer(pointer, Served(3, models[3], "d1635", "pass"))
    first = current.get()
    assert first.served == Served(3, models[3], "d1635", "pass")
    assert (first.version, first.max_samples, first.max_tokens) == (3, 480_000, 64)
    assert current.get() is first, "it is loaded once"
    write_pointer(pointer, Served(4, models[4]))
    assert current.get().version == 4


@pytest.mark.parametrize("text", ["", "[]", '{"version": "x", "folder": "y"}', '{"version": 3}'])
def test_a_broken_pointer_is_one_clear_line(text: str, tmp_path: Path) -> None:
    pointer = tmp_path / "served.json"
    pointer.write_text(text)
    with pytest.raises(InputError, match="does not say which version"):
        CurrentModel(pointer).get()


def test_a_version_without_its_tokenizer_is_refused(
    models: dict[int, Path], tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.onnx").write_bytes((models[3] / "model.onnx").read_bytes())
    write_pointer(tmp_path / "served.json", Served(3, tmp_path / "model"))
    with pytest.raises(InputError, match="tokenizer"):
        CurrentModel(tmp_path / "served.json").get()
