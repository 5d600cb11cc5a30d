"""A request of a retraining: the pipeline's parameters, and the command's options."""

import inspect
from pathlib import Path

from typer.testing import CliRunner

from components.config import load_profile
from pipelines.cli.main import app
from pipelines.definitions.compiled import build_pipeline
from pipelines.runners.request import RetrainRequest

REQUEST = RetrainRequest(
    corpus=Path("calls"),
    feedback=Path("came-back"),
    promote=True,
    actor="ann",
    reason="more calls",
    cause="alert:ab12",
)


def test_its_arguments_are_the_parameters_of_the_pipeline() -> None:
    arguments = REQUEST.arguments()
    pipeline = build_pipeline("retrain", load_profile("tiny"))
    assert arguments.keys() == inspect.signature(pipeline.pipeline_func).parameters.keys()
    commit = arguments.pop("git_commit").removesuffix("-dirty")
    assert len(commit) == 40
    assert arguments == {
        "corpus": "calls",
        "feedback": "came-back",
        "cache_name": "",
        "promote_if_passed": True,
        "actor": "ann",
        "reason": "more calls",
        "cause": "alert:ab12",
    }


def test_its_options_are_those_of_the_command() -> None:
    options = REQUEST.options()
    assert options == [
        "--corpus", "calls", "--reason", "more calls", "--cause", "alert:ab12",
        "--feedback", "came-back", "--promote",
    ]  # fmt: skip
    helps = CliRunner().invoke(app, ["retrain", "--help"], env={"COLUMNS": "200"}).output
    assert all(word in helps for word in options if word.startswith("--"))
    short = RetrainRequest(corpus=Path("calls")).options()
    assert {"--feedback", "--promote"}.isdisjoint(short)
