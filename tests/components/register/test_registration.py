"""What becomes a version, what comes back, and what leaves nothing behind."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.base import DiskFull, InputError, Unavailable, sqlite_path, tree_digest
from components.config import Settings
from components.fusion import OnnxModel, load_tokenizer
from components.register import (
    Lineage,
    download,
    list_versions,
    promote,
    record_failure,
    record_refusal,
    register,
    show,
)
from components.register.package import MODEL_FILES
from tests.components.register.conftest import Evidence, Make
from tests.small_disk import on_small_disk


def test_a_version_holds_everything(
    tmp_path: Path, settings: Settings, lineage: Lineage, make_model: Make, make_evidence: Evidence
) -> None:
    model = make_model(tmp_path / "model")
    evidence = make_evidence(tmp_path / "papers", model)
    number = register(model, **evidence, lineage=lineage, settings=settings)
    version = show(number, settings)
    assert (version.number, version.verdict, version.aliases) == (1, "pass", ("candidate",))
    assert version.digest == tree_digest(model)
    assert version.lineage == {
        "git_commit": "0123abcd",
        "corpus_digest": "corpus-digest",
        "configuration": lineage.profile.digest(),
        "profile": "tiny",
        "validation_fold": lineage.profile.protocol.validation_fold,
        "test_fold": lineage.profile.protocol.test_fold,
    }
    assert (version.metrics["accuracy"], version.metrics["accuracy.correct"]) == (0.75, 3)
    assert version.metrics["scores.wu2023.teer"] == pytest.approx(1 / 4)

    from mlflow import MlflowClient

    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["train.epochs"] == str(lineage.profile.train.epochs)
    evidence = {file.path for file in client.list_artifacts(version.run_id)}
    assert evidence == {"metrics.json", "report.html", "verdict.json", "model_card.md"}


def test_the_card_has_the_test_folds_numbers(
    settings: Settings, add_version: Callable[..., int]
) -> None:
    add_version(settings)
    (card,) = (settings.home / "mlartifacts").rglob("evidence/model_card.md")
    text = card.read_text()
    assert text.startswith("# Moodline\n\n## Not to be used"), "first what training wrote"
    assert "**Synthetic speech: these numbers say nothing about real people.**" in text
    assert "| accuracy (WAR) | 75.0 % | 3 of 4 |" in text
    assert "| F1 of sad | 85.7 % | 3 right of 3, 4 answered | |" in text
    assert "| TEER | 25.0 % | 1.4 of 5.6 s |" in text
    assert "## The gate's verdict: pass" in text
    assert "| min_macro_f1 | 0.43 | at least | 0.5 | pass |" in text


def test_a_homes_name_may_hold_what_ends_a_url(
    settings: Settings, add_version: Callable[..., int], tmp_path: Path
) -> None:
    odd = settings.home.rename(tmp_path / "my home #1, 50%20 für ?")
    settings = Settings(home=odd)
    promote(add_version(settings), settings, actor="ann")
    assert show("production", settings).number == 1
    assert (download("production", tmp_path / "down", settings) / "model.onnx").is_file()
    assert {path.name for path in odd.iterdir()} >= {"mlflow.db", "mlartifacts"}
    assert sqlite_path(settings.feedback_url) == odd / "feedback.db"
    assert [path for path in tmp_path.iterdir() if path.name.startswith("my home")] == [odd]


def test_pyfunc_answers_as_the_graph_does(
    settings: Settings, add_version: Callable[..., int], tmp_path: Path
) -> None:
    import mlflow

    promote(add_version(settings), settings, actor="ann")
    mlflow.set_tracking_uri(settings.mlflow_uri)
    loaded = mlflow.pyfunc.load_model("models:/moodline@production")
    tone = np.sin(np.arange(16000) / 9).astype(np.float32)
    rows = [(tone[:4000].tolist(), "how are you"), (tone.tolist(), "fine"), ([], "")]
    answers = loaded.predict(pd.DataFrame(rows, columns=["audio", "text"]))

    folder = download("production", tmp_path / "down", settings)
    graph, tokenizer = OnnxModel(folder / "model.onnx"), load_tokenizer(folder)
    for answer, (audio, text) in zip(answers.to_dict("records"), rows, strict=True):
        sound = np.asarray(audio or [0.0], dtype=np.float32)
        probabilities, embedding = graph.run([sound], [tokenizer.encode(text).ids])
        np.testing.assert_allclose(answer["probabilities"], probabilities[0], atol=1e-6)
        np.testing.assert_allclose(answer["embedding"], embedding[0], atol=1e-6)
        assert answer["emotion"] == graph.labels[probabilities[0].argmax()]
    assert loaded.metadata.signature.inputs.input_names() == ["audio", "text"]
    assert loaded.input_example is not None


def test_nothing_is_pickled(settings: Settings, add_version: Callable[..., int]) -> None:
    add_version(settings)
    files = [path.name for path in (settings.home / "mlartifacts").rglob("*") if path.is_file()]
    assert "model.onnx" in files and "pyfunc_model.py" in files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".bin", ".pt"))]


def test_a_long_turn_is_windowed(settings: Settings, add_version: Callable[..., int]) -> None:
    import mlflow

    add_version(settings)
    mlflow.set_tracking_uri(settings.mlflow_uri)
    loaded = mlflow.pyfunc.load_model("models:/moodline@candidate")
    long = np.zeros(16000 * 45).tolist()
    answer = loaded.predict(pd.DataFrame({"audio": [long], "text": ["how are you"]}))
    assert sum(answer["probabilities"][0]) == pytest.approx(1)


def test_download_is_the_same_folder(
    settings: Settings, add_version: Callable[..., int], tmp_path: Path
) -> None:
    number = add_version(settings)
    target = download(number, tmp_path / "a" / "model", settings)
    assert tree_digest(target) == show(number, settings).digest
    stamp = (target / "model.onnx").stat().st_mtime_ns
    assert download("candidate", target, settings) == target
    assert (target / "model.onnx").stat().st_mtime_ns == stamp
    (target / "config.json").write_text("{}")
    download(number, target, settings)
    assert tree_digest(target) == show(number, settings).digest
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_changed_files_are_noticed(
    settings: Settings, add_version: Callable[..., int], tmp_path: Path
) -> None:
    number = add_version(settings)
    (stored,) = (settings.home / "mlartifacts").rglob("config.json")
    stored.write_text(stored.read_text() + " ")
    with pytest.raises(InputError, match=r"version 1: its files have digest \w+, registered"):
        download(number, tmp_path / "model", settings)
    assert not (tmp_path / "model").exists()
    with pytest.raises(InputError, match="changed or damaged"):
        promote(number, settings, actor="ann")
    assert show(number, settings).aliases == ("candidate",)


@pytest.mark.parametrize("name", MODEL_FILES)
def test_half_a_model_is_not_registered(
    name: str,
    tmp_path: Path,
    settings: Settings,
    lineage: Lineage,
    make_model: Make,
    make_evidence: Evidence,
) -> None:
    model = make_model(tmp_path / "model")
    (model / name).unlink()
    with pytest.raises(InputError, match=name):
        register(model, **make_evidence(tmp_path / "p", model), lineage=lineage, settings=settings)
    assert list_versions(settings) == []


@pytest.mark.parametrize(
    "verdict",
    [
        "{",
        "[]",
        '{"verdict": "maybe"}',
        '{"verdict": "pass", "model": "d", "checks": []}',
        '{"verdict": "pass", "model": "d", "checks": [{"name": "x"}]}',
        None,
    ],
)
def test_a_version_needs_a_verdict(
    verdict: str | None,
    tmp_path: Path,
    settings: Settings,
    lineage: Lineage,
    make_model: Make,
    make_evidence: Evidence,
) -> None:
    model = make_model(tmp_path / "model")
    evidence = make_evidence(tmp_path / "papers", model)
    evidence["verdict"].unlink() if verdict is None else evidence["verdict"].write_text(verdict)
    with pytest.raises(InputError, match="verdict"):
        register(model, **evidence, lineage=lineage, settings=settings)
    assert list_versions(settings) == []


def test_numbers_of_another_model_are_refused(
    tmp_path: Path, settings: Settings, lineage: Lineage, make_model: Make, make_evidence: Evidence
) -> None:
    model, other = make_model(tmp_path / "model"), make_model(tmp_path / "other", seed=1)
    evidence = make_evidence(tmp_path / "papers", other)
    with pytest.raises(InputError, match=r"metrics: was measured on a model of digest"):
        register(model, **evidence, lineage=lineage, settings=settings)
    # Numbers of this model, a verdict on the other one.
    evidence |= {"metrics": make_evidence(tmp_path / "own", model)["metrics"]}
    with pytest.raises(InputError, match=r"verdict: is about a model of digest .* nothing was"):
        register(model, **evidence, lineage=lineage, settings=settings)
    assert list_versions(settings) == []


def test_a_verdict_that_contradicts_its_checks_is_none(
    tmp_path: Path, settings: Settings, lineage: Lineage, make_model: Make, make_evidence: Evidence
) -> None:
    model = make_model(tmp_path / "model")
    evidence = make_evidence(tmp_path / "papers", model, "fail")
    changed = json.loads(evidence["verdict"].read_text()) | {"verdict": "pass"}
    evidence["verdict"].write_text(json.dumps(changed))
    with pytest.raises(InputError, match="says 'pass', its checks say 'fail'"):
        register(model, **evidence, lineage=lineage, settings=settings)
    assert list_versions(settings) == []


def test_the_same_evidence_is_the_same_version(
    tmp_path: Path, settings: Settings, lineage: Lineage, make_model: Make, make_evidence: Evidence
) -> None:
    model = make_model(tmp_path / "model")
    evidence = make_evidence(tmp_path / "papers", model)

    def again(**changes: Any) -> int:
        arguments = {"model": model, **evidence, "lineage": lineage, "settings": settings} | changes
        return register(**arguments)

    assert again() == 1
    # A page of the documentation was changed meanwhile, and so is the commit.
    assert again(lineage=replace(lineage, git_commit="4567")) == 1
    # The same model, judged anew or of another corpus, is another version.
    other = make_evidence(tmp_path / "other", model, "inconclusive")
    assert again(**other) == 2
    assert again(lineage=replace(lineage, corpus_digest="another")) == 3
    assert (again(), again(**other)) == (1, 2)
    assert [version.number for version in list_versions(settings)] == [3, 2, 1]
    assert len({version.digest for version in list_versions(settings)}) == 1


def test_a_failure_half_way_leaves_no_version(
    tmp_path: Path, settings: Settings, lineage: Lineage, make_model: Make, make_evidence: Evidence
) -> None:
    """The database breaks when the model's upload is done, before the version is written."""
    model = make_model(tmp_path / "model")
    evidence = make_evidence(tmp_path / "papers", model)
    with closing(sqlite3.connect(settings.home / "mlflow.db")) as database:
        database.execute(
            "CREATE TRIGGER broken BEFORE UPDATE ON logged_models WHEN NEW.status = 2 "
            "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
        with pytest.raises(DiskFull, match="the disk is full") as caught:
            register(model, **evidence, lineage=lineage, settings=settings)
    assert "\n" not in str(caught.value)
    assert list_versions(settings) == []

    from mlflow import MlflowClient

    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    experiment = client.get_experiment_by_name("moodline")
    assert experiment is not None
    assert client.search_runs([experiment.experiment_id]) == []
    assert client.search_logged_models([experiment.experiment_id]) == []


def test_a_full_disk_is_one_line(
    tmp_path: Path, empty_database: Path, make_model: Make, make_evidence: Evidence
) -> None:
    """On a disk that the model has no room on; then with room; then full to the last byte."""
    model = make_model(tmp_path / "model")
    (model / "large").write_bytes(bytes(5_000_000))
    make_evidence(tmp_path / "papers", model)
    disk = tmp_path / "disk"
    disk.mkdir()
    script = [sys.executable, "-m", "tests.components.register.full_disk"]
    done = subprocess.run(
        on_small_disk(disk, 4, [*script, disk, empty_database, model, tmp_path / "papers"]),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    for step in ("register", "promote"):
        assert re.search(r"^no space left \(.+\); free some and try again$", outcome[step]), outcome
    assert (outcome["registered"], outcome["promoted"]) == (0, 0)
    assert (outcome["version"], outcome["step"], outcome["versions"]) == (1, 1, 1)


def test_refusals_and_failures_are_kept(
    tmp_path: Path, settings: Settings, lineage: Lineage, make_evidence: Evidence
) -> None:
    from mlflow import MlflowClient

    why = replace(lineage, reason="trigger 1: it drifted", cause="alert:ab12 http://prometheus")
    refused = record_refusal(
        **make_evidence(tmp_path / "papers", None, "fail"), lineage=why, settings=settings
    )
    failed = record_failure("out of memory", {"pipeline_run": "retrain-1"}, settings)
    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    tags = client.get_run(refused).data.tags
    assert tags["verdict"] == "fail"
    assert (tags["reason"], tags["cause"]) == (why.reason, why.cause)
    assert client.get_run(refused).data.metrics["accuracy"] == 0.75
    assert client.get_run(failed).info.status == "FAILED"
    assert client.get_run(failed).data.tags["failure"] == "out of memory"
    assert list_versions(settings) == []


def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database")
    with pytest.raises(Unavailable, match="MLflow at sqlite") as caught:
        list_versions(Settings(home=tmp_path))
    assert "\n" not in str(caught.value)


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, mlflow_uri="http://ann:secret@127.0.0.1:9")
    with pytest.raises(Unavailable, match="does not answer") as caught:
        list_versions(settings)
    assert "secret" not in str(caught.value)


def test_package_requirements_are_pinned(
    settings: Settings, add_version: Callable[..., int]
) -> None:
    add_version(settings)
    (file,) = (settings.home / "mlartifacts").rglob("requirements.txt")
    lines = file.read_text().split()
    assert any(line.startswith("onnxruntime==") for line in lines)
    assert all("==" in line for line in lines)
    (example,) = (settings.home / "mlartifacts").rglob("serving_input_example.json")
    assert json.loads(example.read_text())["dataframe_split"]["columns"] == ["audio", "text"]
