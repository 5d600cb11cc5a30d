"""A profile that extends another one, and keys that are set over it."""

from pathlib import Path

import pytest

from components.base import InputError
from components.config import load_profile
from components.config.profile import load_train_step

DEMO = load_profile("demo")


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{next(iter(files))}.yaml"


def test_a_layer_names_only_what_differs(tmp_path: Path) -> None:
    mine = load_profile(write(tmp_path, mine="extends: demo\ntrain: {epochs: 5}"))
    train = DEMO.train.model_copy(update={"epochs": 5})
    assert mine == DEMO.model_copy(update={"name": "mine", "train": train})
    assert mine.digest() != DEMO.digest()
    # In demo.yaml this is an alias of the same mapping.
    assert mine.experiment.frozen.epochs == DEMO.train.epochs
    same = f"extends: demo\nname: demo\ntrain: {{epochs: {DEMO.train.epochs}}}"
    named = write(tmp_path, other=same)
    assert load_profile(named).digest() == DEMO.digest()


def test_files_are_found_from_where_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "base").mkdir()
    write(tmp_path / "base", team="extends: paper\ngate: gates/strict.yaml\nseed: 3")
    (tmp_path / "base" / "gates").mkdir()
    (tmp_path / "base" / "gates" / "strict.yaml").write_text("min_accuracy: 0.9\nmax_teer: 0.1")
    top = write(
        tmp_path,
        top="extends: base/team.yaml\ngate: {min_accuracy: 0.8}\nprotocol:"
        " {test_fold: null, test_share: 0.25}",
    )
    monkeypatch.chdir("/")
    profile = load_profile(top)
    assert (profile.name, profile.seed) == ("top", 3)
    assert (profile.gate.min_accuracy, profile.gate.max_teer) == (0.8, 0.1)
    # What the gate file does not name stays as below, too.
    assert profile.gate.min_macro_f1 == load_profile("paper").gate.min_macro_f1
    assert profile.protocol.test_share == 0.25
    assert load_train_step(top).seed == 3


def test_keys_that_are_set(tmp_path: Path) -> None:
    changes = ("train.epochs=5", "train.learning_rate=1e-3", "cluster.env={A: b}", "name=quick")
    profile = load_profile("demo", changes)
    assert (profile.train.epochs, profile.train.learning_rate) == (5, 1e-3)
    assert (profile.cluster.env, profile.name) == ({"A": "b"}, "quick")
    assert profile.experiment == DEMO.experiment
    assert load_profile("demo", ["train.epochs=5", "train.epochs=7"]).train.epochs == 7
    assert load_profile(DEMO.model_dump_json(), ["seed=1"]).seed == 1
    mine = write(tmp_path, mine="extends: demo\ntrain: {epochs: 3}")
    assert load_profile(mine, ["train.epochs=4"]).train.epochs == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("train.epoch=5", "demo: train.epoch: is no key of a profile; is epochs meant?"),
        ("trian.epochs=5", "demo: trian: is no key of a profile; is train meant?"),
        ("align.xyz=1", "align.xyz: is no key of a profile; known: method, max_pause, baseline"),
        ("align.max_pause=-1", "align.max_pause.seconds"),
        ("align.max_pause=never", "align.max_pause.seconds"),
        ("gate.min_acuracy=1", "unknown check 'min_acuracy'; known: min_accuracy"),
        ("train.epochs=many", "'train.epochs' is 'many'; it should be a valid integer"),
        ("train.epochs", "--set train.epochs: write a key and its value, as in train.epochs=5"),
        ("=5", "--set =5: write a key"),
        ("train..epochs=5", "write a key"),
        ("train.epochs=[", "not YAML"),
        ("name=" + "x" * 200, "40 at most"),
        ("cluster.env.DB_PASSWORD=geheim", "DB_PASSWORD holds a password"),
        ("cluster.steps.evaluat.gpus=1", "is evaluate meant?"),
    ],
)
def test_a_change_that_is_none_is_one_line(change: str, says: str) -> None:
    with pytest.raises(InputError) as error:
        load_profile("demo", [change])
    assert says in str(error.value)
    assert "\n" not in str(error.value) and "geheim" not in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a": "extends: a.yaml"}, "extends itself: a.yaml extends a.yaml"),
        (
            {"a": "extends: b.yaml", "b": "extends: a.yaml"},
            "extends itself: a.yaml extends b.yaml extends a.yaml",
        ),
        ({"a": "extends: dem"}, "a.yaml: extends dem: no such profile; name demo, tiny, paper,"),
        ({"a": "extends: [demo, paper]"}, "a.yaml: extends: name one profile"),
        ({"a": "extends: b.yaml", "b": "- demo"}, "a.yaml: extends b.yaml, which is no profile"),
        ({"a": "extends: demo\nextend: demo"}, "extend: is no key of a profile; is extends meant?"),
    ],
)
def test_a_layer_that_leads_nowhere_is_one_line(
    files: dict[str, str], says: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        load_profile(write(tmp_path, **files))
    assert says in str(error.value)
    assert "\n" not in str(error.value)
