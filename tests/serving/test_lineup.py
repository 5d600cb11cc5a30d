"""The file that says which versions are served."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.base import InputError
from components.config import TrainStep, load_profile
from components.conversation import DEFAULT_LABELS
from serving.lineup import CurrentLineup, Lineup, Served, read_pointer, write_pointer


def test_the_service_follows_the_pointer(models: dict[int, Path], tmp_path: Path) -> None:
    pointer = tmp_path / "served.json"
    current = CurrentLineup(pointer)
    with pytest.raises(InputError, match="no version is in production yet; promote one"):
        current.get()
    three, four = Served(3, models[3], "d1635", "pass"), Served(4, models[4])
    write_pointer(pointer, Lineup({"production": three}))
    first = current.get()
    production = first.production
    assert (production.digest, production.verdict) == ("d1635", "pass")
    assert (production.version, production.max_samples, production.max_tokens) == (3, 480_000, 64)
    assert (first.staging, first.candidate) == (None, None)
    assert current.get() is first, "it is loaded once"
    write_pointer(pointer, Lineup({"production": three, "staging": four}))
    second = current.get()
    assert second.production is production, "what has not changed is not loaded again"
    assert second.staging is not None
    assert second.staging.version == 4
    write_pointer(pointer, Lineup({"production": four}))
    assert current.get().production.version == 4


def test_a_pointer_reads_as_it_was_written(models: dict[int, Path], tmp_path: Path) -> None:
    roles = {
        "production": Served(3, models[3], "d1635", "pass"),
        "staging": Served(4, models[4]),
        "candidate": Served(5, models[5]),
    }
    lineup = Lineup(roles, {2: "it was wrong"}, 7)
    write_pointer(tmp_path / "served.json", lineup)
    assert read_pointer(tmp_path / "served.json") == lineup
    assert sorted(lineup.versions()) == [3, 4, 5]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"production": null, "staging": null, "candidate": null}', '{"version": 3}']
)
def test_a_broken_pointer_is_one_clear_line(text: str, tmp_path: Path) -> None:
    pointer = tmp_path / "served.json"
    pointer.write_text(text)
    with pytest.raises(InputError, match="does not say which version"):
        CurrentLineup(pointer).get()


def test_a_version_without_its_tokenizer_is_refused(
    models: dict[int, Path], tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.onnx").write_bytes((models[3] / "model.onnx").read_bytes())
    write_pointer(tmp_path / "served.json", Lineup({"production": Served(3, tmp_path / "model")}))
    with pytest.raises(InputError, match="tokenizer"):
        CurrentLineup(tmp_path / "served.json").get()


def test_each_version_brings_its_own_threshold(models: dict[int, Path], tmp_path: Path) -> None:
    shutil.copytree(models[4], tmp_path / "unsure")
    made_by = TrainStep.of(load_profile("demo", ["uncertain_below=0.6"]))
    (tmp_path / "unsure" / "profile.json").write_text(made_by.model_dump_json())
    roles = {"production": Served(3, models[3]), "staging": Served(4, tmp_path / "unsure")}
    write_pointer(tmp_path / "served.json", Lineup(roles))
    lineup = CurrentLineup(tmp_path / "served.json").get()
    assert lineup.production.uncertain_below == 0
    assert lineup.staging is not None and lineup.staging.uncertain_below == 0.6


def test_a_version_without_its_graph_is_never_pointed_to(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no model\.onnx"):
        write_pointer(tmp_path / "served.json", Lineup({"production": Served(3, tmp_path)}))
    assert not (tmp_path / "served.json").exists()


def test_the_limits_travel_with_the_pointer(models: dict[int, Path], tmp_path: Path) -> None:
    write_pointer(tmp_path / "served.json", Lineup({"production": Served(3, models[3])}))
    entry = json.loads((tmp_path / "served.json").read_text())["production"]
    assert (entry["max_samples"], entry["max_tokens"]) == (480_000, 64)


def test_the_labels_travel_with_the_pointer_and_one_of_before_names_none(
    models: dict[int, Path], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    pointer = tmp_path / "served.json"
    other = make_model(tmp_path / "model", 6, labels=("calm", "tense"))
    roles = {"production": Served(3, models[3]), "staging": Served(6, other)}
    write_pointer(pointer, Lineup(roles))
    lineup = CurrentLineup(pointer).get()
    assert lineup.production.labels == DEFAULT_LABELS
    assert lineup.staging is not None
    assert lineup.staging.labels == ("calm", "tense")
    before = json.loads(pointer.read_text())
    del before["staging"], before["production"]["labels"]
    pointer.write_text(json.dumps(before))
    assert CurrentLineup(pointer).get().production.labels == DEFAULT_LABELS
