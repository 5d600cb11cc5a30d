"""The registry's pipeline components, as KFP's executor calls them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.base import tree_digest
from components.config import Settings, load_profile
from components.register import (
    Lineage,
    Outcomes,
    component,
    list_versions,
    note_engines,
    read_outcomes,
    record_end,
    record_refusal,
    run_on,
)
from components.scoring import read_verdict

PROFILE = load_profile("tiny").model_dump_json()


@pytest.fixture
def at_home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The registry, where the components find it."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    return settings


def runs(settings: Settings, status: str) -> list[Any]:
    """The runs in MLflow that ended like this."""
    from mlflow import MlflowClient

    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    experiment = client.get_experiment_by_name("moodline")
    all_runs = client.search_runs([experiment.experiment_id]) if experiment else []
    return [run for run in all_runs if run.info.status == status]


def failures(settings: Settings) -> list[dict[str, str]]:
    """The tags of the failed runs in MLflow."""
    return [run.data.tags for run in runs(settings, "FAILED")]


def run_register(model: Path, evidence: dict[str, Path], pipeline_run: str = "") -> int:
    """Register as the pipeline does."""
    number = component.register.python_func(
        model=dsl.Model(uri=str(model)),
        metrics=dsl.Metrics(uri=str(evidence["metrics"])),
        report=dsl.HTML(uri=str(evidence["report"])),
        verdict=dsl.Artifact(uri=str(evidence["verdict"])),
        corpus_digest="corpus-digest",
        profile=PROFILE,
        git_commit="0123abcd",
        pipeline_run=pipeline_run,
    )
    assert isinstance(number, int)
    return number


def test_a_model_goes_into_production_and_becomes_the_champion(
    at_home: Settings,
    tmp_path: Path,
    make_model: Callable[..., Path],
    make_evidence: Callable[..., dict[str, Path]],
) -> None:
    model = make_model(tmp_path / "model")
    evidence = make_evidence(tmp_path / "papers", model)
    with pytest.raises(Exception, match="nothing is in production; train a version and promote"):
        component.champion.python_func(required=True)
    assert component.champion.python_func(besides="new") == ""

    assert (run_register(model, evidence), run_register(model, evidence)) == (1, 1)
    (version,) = list_versions(at_home)
    assert version.lineage["corpus_digest"] == "corpus-digest"
    for _ in range(2):
        assert component.promote.python_func(version=1, actor="ann", reason="better") == 1
    assert component.champion.python_func() == f"1 {version.digest}"
    assert component.champion.python_func(besides="new") == f"1 {version.digest}"
    # Against itself no model is ever worse.
    assert component.champion.python_func(besides=version.digest) == ""

    fetched = dsl.Model(uri=str(tmp_path / "fetched"))
    component.fetch.python_func(name=f"1 {version.digest}", model=fetched)
    assert tree_digest(tmp_path / "fetched") == version.digest
    assert fetched.metadata == {"version": 1, "digest": version.digest}
    component.fetch.python_func(name="", model=dsl.Model(uri=str(tmp_path / "none")))
    assert list((tmp_path / "none").iterdir()) == []


def test_of_a_refused_model_the_evidence_is_kept(
    at_home: Settings,
    tmp_path: Path,
    make_model: Callable[..., Path],
    make_evidence: Callable[..., dict[str, Path]],
) -> None:
    model = make_model(tmp_path / "model")
    evidence = make_evidence(tmp_path / "papers", model, verdict="fail")
    assert run_register(model, evidence) == 0
    assert list_versions(at_home) == []
    assert [run.data.tags["verdict"] for run in runs(at_home, "FINISHED")] == ["fail"]


def test_a_failed_run_leaves_a_trace(
    at_home: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    known = {"git_commit": "0123abcd", "profile": PROFILE, "corpus": "calls", "promotion": True}
    known |= {"reason": "more calls", "cause": ""}
    component.finish.python_func(pipeline_run="retrain-7", **known)
    (tags,) = failures(at_home)
    assert tags["failure"] == "a step failed before the gate's verdict was kept"
    assert (tags["git_commit"], tags["corpus"]) == ("0123abcd", "calls")
    assert tags["configuration"] == load_profile("tiny").digest()
    assert tags["pipeline_run"] == "retrain-7"
    # The registry may be what failed; the run's own reason must not be lost for that.
    monkeypatch.setenv("MOODLINE_MLFLOW_URI", "http://127.0.0.1:9")
    component.finish.python_func(pipeline_run="retrain-8", **known)
    assert "could not record how the run ended: MLflow at" in caplog.text


def test_a_run_that_came_to_its_end_leaves_no_failure(
    at_home: Settings,
    tmp_path: Path,
    make_model: Callable[..., Path],
    make_evidence: Callable[..., dict[str, Path]],
) -> None:
    def finish(pipeline_run: str, promotion: bool) -> list[str]:
        component.finish.python_func(
            pipeline_run=pipeline_run, promotion=promotion, git_commit="0123abcd", profile=PROFILE,
            corpus="calls", reason="", cause="",
        )  # fmt: skip
        return [tags["failure"] for tags in failures(at_home)]

    model = make_model(tmp_path / "model")
    refused = make_evidence(tmp_path / "no", model, verdict="fail")
    assert run_register(model, refused, "retrain-1") == 0
    assert finish("retrain-1", promotion=True) == []
    passed = make_evidence(tmp_path / "yes", model)
    assert run_register(model, passed, "retrain-2") == 1
    assert finish("retrain-2", promotion=False) == []
    # The same evidence again: a later run comes to the version that is.
    assert run_register(model, passed, "retrain-3") == 1
    assert finish("retrain-3", promotion=True) == ["the version passed, and its promotion failed"]
    component.promote.python_func(version=1, actor="ann", reason="better")
    assert run_register(model, passed, "retrain-4") == 1
    assert finish("retrain-4", promotion=True) == ["the version passed, and its promotion failed"]


def test_how_runs_ended_is_read_from_what_their_last_step_noted(
    at_home: Settings,
    tmp_path: Path,
    make_model: Callable[..., Path],
    make_evidence: Callable[..., dict[str, Path]],
) -> None:
    def run(name: str, evidence: dict[str, Path] | None, promotion: bool = False) -> Outcomes:
        if evidence:
            run_register(model, evidence, name)
        component.finish.python_func(
            pipeline_run=name, promotion=promotion, git_commit="0123abcd", profile=PROFILE,
            corpus="calls", reason="", cause="",
        )  # fmt: skip
        return read_outcomes(at_home)

    assert read_outcomes(at_home) == Outcomes({})
    model = make_model(tmp_path / "model")
    refused = make_evidence(tmp_path / "no", model, verdict="fail")
    passed = make_evidence(tmp_path / "yes", model)
    first = run("retrain-1", refused)
    assert first.ended.keys() == {"fail"}
    assert first.checks == read_verdict(refused["verdict"]).checks
    second = run("retrain-2", passed)
    assert second.ended["pass"] > second.ended["fail"] == first.ended["fail"]
    assert second.checks == read_verdict(passed["verdict"]).checks
    third = run("retrain-3", None)
    assert third.ended["error"] > third.ended["pass"]
    # The same evidence again, which makes no run in MLflow; then a promotion that fails.
    fourth = run("retrain-4", refused)
    assert fourth.ended["fail"] > third.ended["error"]
    fifth = run("retrain-5", passed, promotion=True)
    assert fifth.ended["pass"] == second.ended["pass"]
    assert fifth.ended["error"] > third.ended["error"]
    assert read_outcomes(at_home, fifth) == fifth


def test_what_a_run_ended_on_is_known_for_the_last_code_and_not_before_its_end(
    settings: Settings,
    lineage: Lineage,
    tmp_path: Path,
    make_model: Callable[..., Path],
    make_evidence: Callable[..., dict[str, Path]],
) -> None:
    """A release makes the very same model again; then a run of it fails, and one goes on."""
    evidence = make_evidence(tmp_path / "no", make_model(tmp_path / "model"), verdict="fail")

    def begin(run: str, state: str) -> None:
        own = replace(lineage, git_commit="unknown", pipeline_run=run, trained_on=state)
        record_refusal(**evidence, lineage=own, settings=settings)

    def known(state: str, code: str) -> str:
        return run_on(state, lineage.profile, code, settings)

    begin("run-1", "state-1")
    assert known("state-1", "old") == ""
    assert record_end("run-1", False, {}, settings, code="old") == ""
    assert (known("state-1", "old"), known("state-1", "new")) == ("run-1", "")
    begin("run-2", "state-1")
    assert record_end("run-2", False, {}, settings, code="new") == ""
    assert (known("state-1", "new"), known("state-1", "old")) == ("run-2", "")
    ended = read_outcomes(settings)
    begin("run-3", "state-2")
    assert (known("state-2", "new"), known("state-1", "new")) == ("", "run-2")
    assert read_outcomes(settings) == ended


@pytest.mark.parametrize("verdict", ["inconclusive", "pass"])
def test_a_run_whose_engines_were_not_made_has_failed(
    verdict: str,
    at_home: Settings,
    tmp_path: Path,
    make_model: Callable[..., Path],
    make_evidence: Callable[..., dict[str, Path]],
) -> None:
    def end(run: str) -> str:
        return record_end(run, False, {}, at_home, engines=True)

    model = make_model(tmp_path / "model")
    refused = make_evidence(tmp_path / "no", model, verdict="fail")
    assert run_register(model, refused, "run-1") == 0
    assert end("run-1") == ""  # nobody makes engines of what was refused
    evidence = make_evidence(tmp_path / "yes", model, verdict=verdict)
    assert run_register(model, evidence, "run-2") == 1
    assert end("run-2") == "the version's engines were not made"
    assert read_outcomes(at_home).ended.keys() == {"fail", "error"}
    note_engines(1, "run-2", at_home)
    assert end("run-2") == ""
    # Those of an earlier run are none of this one's.
    assert run_register(model, evidence, "run-3") == 1
    assert end("run-3") == "the version's engines were not made"
