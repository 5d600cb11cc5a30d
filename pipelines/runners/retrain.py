"""Retraining on this machine: the request, the run, what came of it."""

from dataclasses import dataclass, replace
from pathlib import Path

from components.base import InputError, Location, StepFailed
from components.config import Profile, Settings
from components.scoring import read_verdict
from pipelines.runners.local import OnStep, run_pipeline
from pipelines.runners.outcome_metrics import FILE, record_outcome
from pipelines.runners.request import RetrainRequest


@dataclass(frozen=True, slots=True)
class RetrainResult:
    """A retraining that ran to its end.

    Attributes:
        folder: everything the run left.
        decision: the gate's: "pass", "fail" or "inconclusive".
        reasons: a line for each check that did not pass.
        version: what was registered; None if the gate said "fail".
        promoted: whether that version went into production.
        outputs: paths of `model`, `metrics`, `report`, `verdict`, `predictions`, `turns`,
            `examples`, `corpus`; of a step that was done before, where it left them then.
        seconds: how long each step took, in the order in which they ran.
        reused: the steps that were done before, and not again.
    """

    folder: Path
    decision: str
    reasons: tuple[str, ...]
    version: int | None
    promoted: bool
    outputs: dict[str, Path]
    seconds: dict[str, float]
    reused: tuple[str, ...]


_OUTPUTS = {
    "corpus": ("corpus", "manifest"),
    "turns": ("align", "turns"),
    "examples": ("label", "examples"),
    "model": ("train", "model"),
    "metrics": ("evaluate", "metrics"),
    "report": ("evaluate", "report"),
    "verdict": ("evaluate", "verdict"),
    "predictions": ("evaluate", "predictions"),
}


def retrain(
    profile: Profile, request: RetrainRequest, settings: Settings, *,
    in_containers: bool = False, on_step: OnStep | None = None,
) -> RetrainResult:  # fmt: skip
    """Retrain on this machine, and note how it ended among the metrics.

    What was done before is not done again; see `pipelines.definitions.retrain`. `in_containers`
    runs each step in a container, of the images that `make images` builds.

    Raises:
        InputError: the corpus, the feedback or a model is wrong.
        Refused: the version passed, but somebody else promoted another one meanwhile.
        MoodlineError: another one that a step raised, or as `run_pipeline`.
    """
    if not request.corpus.is_dir():
        raise InputError(f"{request.corpus}: no such folder; name a corpus")
    corpus = request.corpus.resolve()
    if request.feedback is None:
        return _retrain(profile, request, corpus, settings, in_containers, on_step)
    from components.corpus import join_feedback
    from components.traffic import Copies

    with Copies(settings.runs, settings.cache).in_use():
        share = settings.feedback_share
        joined = join_feedback(
            corpus, request.feedback, settings.finished, max_share=share, labels=profile
        )
        return _retrain(profile, request, joined.resolve(), settings, in_containers, on_step)


def _retrain(
    profile: Profile, request: RetrainRequest, corpus: Location, settings: Settings,
    in_containers: bool, on_step: OnStep | None,
) -> RetrainResult:  # fmt: skip
    """Retrain on the corpus that the steps see."""
    outcomes = settings.metrics / FILE
    # What comes back is joined before: its sound and labels stay as they were exported.
    arguments = replace(request, corpus=corpus, feedback=None).arguments()
    mounts = [path for path in (corpus,) if isinstance(path, Path)] if in_containers else None
    try:
        run = run_pipeline("retrain", profile, arguments, settings, mounts=mounts, on_step=on_step)
        artifacts = {step: written["artifacts"] for step, written in run.outputs.items()}
        outputs = {name: Path(artifacts[step][key]) for name, (step, key) in _OUTPUTS.items()}
        verdict = read_verdict(outputs["verdict"])
        promoted = "promote" in run.outputs
        if promoted != (request.promote and verdict.decision == "pass"):
            # kfp's local runner skips a branch whose condition it cannot work out, without a word.
            reason = "the branch of the promotion does not fit the verdict"
            raise StepFailed("", reason, (), run.folder / "run.log")
    except StepFailed:
        record_outcome(outcomes, "error")
        raise
    record_outcome(outcomes, verdict.decision, checks=verdict.checks)
    return RetrainResult(
        folder=run.folder,
        decision=verdict.decision,
        reasons=verdict.reasons,
        version=int(run.outputs["register"]["parameters"]["Output"]) or None,
        promoted=promoted,
        outputs=outputs,
        seconds={name: event.seconds for name, event in run.steps.items()},
        reused=tuple(name for name, event in run.steps.items() if event.state == "reused"),
    )
