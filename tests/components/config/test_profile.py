"""Profiles are checked when loaded, frozen, and named by a digest that is the same everywhere."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from components.base import Cache, InputError, file_digest, json_digest, parse_yaml, tree_digest
from components.base.cache import LARGE, SETTLED_NS
from components.config import (
    Profile,
    Settings,
    TrainStep,
    load_profile,
    load_train_step,
    resolve_model,
)
from components.config.gate import load_gate

ROOT = Path(__file__).resolve().parents[3]


def test_both_profiles_load_and_go_through_json() -> None:
    for name in ("demo", "paper", "tiny"):
        profile = load_profile(name)
        assert profile.name == name
        assert load_profile(profile.model_dump_json()) == profile


def test_digest_follows_the_content(tmp_path: Path) -> None:
    demo = load_profile("demo")
    assert demo.digest() == load_profile("demo").digest() != load_profile("paper").digest()
    code = "from components.config import load_profile; print(load_profile('demo').digest())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == demo.digest()


def test_a_profile_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_profile("demo").seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: a\nseed: 1\nseed: 2\n", "line 3: 'seed' is also in line 2; name it once"),
        ("train:\n  epochs: 1\n  epochs: 2\n", "line 3: 'epochs' is also in line 2; name it once"),
        ('{seed: 1, "seed": 2}', "line 1: 'seed' is also in line 1; name it once"),
        ("a: &x {}\nc:\n  <<: *x\n  d: 1\n  d: 2", "line 5: 'd' is also in line 4; name it once"),
        ("yes: 1\ntrue: 2\n", "line 2: 'true' is also in line 1; name it once"),
        ("1: a\n0x1: b\n", "line 2: '0x1' is also in line 1; name it once"),
        ("null: a\n~: b\n", "line 2: '~' is also in line 1; name it once"),
    ],
)
def test_a_key_that_is_named_twice_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    for read in (load_profile, load_train_step, load_gate):
        with pytest.raises(InputError) as refusal:
            read(path)
        assert str(refusal.value).endswith(f"mine.yaml: {fault}")


def test_a_profile_given_as_text_names_a_key_once() -> None:
    with pytest.raises(InputError, match=r"^the profile: line 1: 'seed' is also in line 1"):
        load_profile('{"seed": 1, "seed": 2}')


def test_a_key_may_stand_in_several_mappings_and_override_a_merged_one() -> None:
    text = "a: &x {b: 1, c: 1}\nd: {<<: *x, b: 2}\ne: {<<: *x}\n1: x\n'1': y"
    text += "\nf: &f {<<: *x, b: 2}\ng: {<<: *f}\nh: {<<: [*x, *f]}"
    assert parse_yaml(text, "t") == {
        "a": {"b": 1, "c": 1}, "d": {"b": 2, "c": 1}, "e": {"b": 1, "c": 1}, 1: "x", "1": "y",
        "f": {"b": 2, "c": 1}, "g": {"b": 2, "c": 1}, "h": {"b": 1, "c": 1},
    }  # fmt: skip


def test_wrong_profiles_say_where(tmp_path: Path) -> None:
    data = load_profile("demo").model_dump(mode="json")
    for change, message in (
        ({"gate": data["gate"] | {"min_accuracy": 55}}, "gate.min_accuracy"),
        ({"train": data["train"] | {"epoch": 3}}, "train.epoch"),
        ({"fusion": data["fusion"] | {"attend": "all"}}, "fusion.attend"),
        ({"name": ""}, "name: is “”"),
        ({"name": "x" * 41}, "40 at most"),
        ({"name": "My team: retrain"}, "small letters"),
        ({"name": "a/b"}, "small letters"),
        ({"cluster": {"env": {"DATABASE": "postgresql://u:geheim@db/m"}}}, "DATABASE holds a pass"),
        ({"cluster": {"env": {"MOODLINE_TRIGGER_TOKEN": "x"}}}, "Kubernetes secret"),
        ({"cluster": {"env": {"DB_PWD": "x"}}}, "Kubernetes secret"),
        ({"cluster": {"env": {"D": "postgresql://h/d?password=geheim"}}}, "Kubernetes secret"),
        ({"cluster": {"env": {"AWS_SECRET_ACCESS_KEY": "x"}}}, "Kubernetes secret"),
        ({"cluster": {"env": {"MOODLINE_SIGNING_KEY": "x"}}}, "Kubernetes secret"),
    ):
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(data | change))
        with pytest.raises(InputError, match=message) as error:
            load_profile(path)
        assert "\n" not in str(error.value)
        assert "geheim" not in str(error.value)
    with pytest.raises(InputError, match="no such profile"):
        load_profile("dem")
    (tmp_path / "broken.yaml").write_text("name: [")
    with pytest.raises(InputError, match="not YAML"):
        load_profile(tmp_path / "broken.yaml")


def test_settings_follow_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("MOODLINE_MODELS", raising=False)
    monkeypatch.setenv("MOODLINE_HUB_TOKEN", "hf_secret")
    settings = Settings()
    assert settings.models == tmp_path / "state" / "models"
    assert settings.mlflow_uri == f"sqlite:///{tmp_path}/state/mlflow.db"
    assert "hf_secret" not in repr(settings) + str(settings.environment())


def test_a_prepared_model_is_found_by_name_and_others_are_left_to_the_hub(tmp_path: Path) -> None:
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    settings = Settings(home=tmp_path)
    assert resolve_model("tiny", settings) == str(tmp_path / "models" / "tiny")
    assert resolve_model("FacebookAI/roberta-base", settings) == "FacebookAI/roberta-base"


def test_cache_paths_follow_the_key(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    path = cache.path("words", "a", {"n": 1}, suffix=".json")
    assert path == cache.path("words", "a", {"n": 1}, suffix=".json")
    assert path.suffix == ".json"
    assert path != cache.path("words", "a", {"n": 2}, suffix=".json")
    assert path.parent.parent == tmp_path / "words"


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "t" / "sub").mkdir(parents=True)
    (tmp_path / "t" / "sub" / "a").write_text("x")
    assert file_digest(tmp_path / "t" / "sub" / "a").startswith("2d711642b726b044")
    before = tree_digest(tmp_path / "t")
    (tmp_path / "t" / "sub" / "a").rename(tmp_path / "t" / "sub" / "b")
    assert tree_digest(tmp_path / "t") != before
    assert json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1})


def test_a_large_file_is_read_once_while_it_stays_as_it_is(tmp_path: Path) -> None:
    cache, path = Cache(tmp_path / "cache"), tmp_path / "a.wav"
    path.write_bytes(b"a" * LARGE)
    assert file_digest(path, cache) == hashlib.sha256(b"a" * LARGE).hexdigest()
    assert not list(tmp_path.glob("cache/digests/*/*")), "what was just written may change again"
    time.sleep(SETTLED_NS / 1e9 + 0.1)
    right = file_digest(path, cache)
    (kept,) = tmp_path.glob("cache/digests/*/*")
    kept.write_text("b" * 64)
    assert file_digest(path, cache) == "b" * 64, "it is not read again"
    assert file_digest(path) == right, "nobody is told who does not give a cache"
    kept.write_text("cut")
    assert file_digest(path, cache) == right
    kept.write_text("b" * 64)
    times = path.stat()
    path.write_bytes(b"c" * LARGE)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file_digest(path, cache) == hashlib.sha256(b"c" * LARGE).hexdigest()
    (tmp_path / "small").write_bytes(b"x")
    os.utime(tmp_path / "small", (0, 0))
    file_digest(tmp_path / "small", cache)
    assert len(list(tmp_path.glob("cache/digests/*/*"))) == 1


def test_each_strategy_of_an_experiment_is_what_it_is_called() -> None:
    demo = load_profile("demo")
    assert demo.train.augment > 0, "experiments train without it"
    assert demo.experiment.frozen == demo.train.model_copy(update={"augment": 0.0})
    assert load_profile("paper").experiment.fine_tuned == load_profile("paper").train
    swapped = demo.model_dump(mode="json")
    swapped["experiment"]["fine_tuned"]["freeze_encoders"] = True
    with pytest.raises(InputError, match=r"experiment: .*fine_tuned must not"):
        load_profile(json.dumps(swapped))


def test_a_step_has_its_own_parts_of_a_profile_and_no_other(tmp_path: Path) -> None:
    demo = load_profile("demo")
    step = TrainStep.of(demo)
    assert (step.seed, step.align, step.train) == (demo.seed, demo.align, demo.train)
    assert not {"gate", "experiment", "cluster"} & step.model_dump().keys()
    assert TrainStep.of(step) == step == TrainStep.model_validate_json(step.model_dump_json())
    (tmp_path / "step.json").write_text(step.model_dump_json())
    for name in ("demo", demo.model_dump_json(), tmp_path / "step.json"):
        assert load_train_step(name) == step
    with pytest.raises(InputError, match=r"sed: is no key of a profile; is seed meant\?"):
        load_train_step(json.dumps(step.model_dump(mode="json") | {"sed": 1}))


def test_every_key_is_in_the_table_of_the_pipelines_page() -> None:
    page = (ROOT / "pipelines" / "README.md").read_text(encoding="utf-8")
    table = page[page.index("## Profiles") : page.index("## Never twice")]
    named = set(re.findall(r"`(\w+)`", table))
    for name, part in Profile.model_fields.items():
        assert name in named
        if name not in ("gate", "cluster") and hasattr(part.annotation, "model_fields"):
            assert set(part.annotation.model_fields) <= named, name
