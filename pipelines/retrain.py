"""The retraining pipeline: a labelled corpus to a version in the registry, if the gate lets it.

 1. corpus       read and check the corpus; write its manifest
 2. transcribe   its audio to words (WhisperX)
 3. diarize      its audio to speaker segments (pyannote.audio)
 4. align        words and speaker segments to turns
 5. label        turns and reference utterances to labelled examples
 6. train        examples to a model's folder
 7. champion     fetch the version in production, to be measured beside the new one
 8. evaluate     both on the test fold; the gate's verdict
 9. register     unless the verdict is "fail": a version in MLflow, with all evidence
10. promote      if asked for, and only if the verdict is "pass"
11. record_refusal   if the verdict is "fail": the evidence is kept in MLflow, without a version

A verdict that says no is a result, not a fault: the run ends well, without a version. A version
whose verdict is "inconclusive" is registered for a person to look at, and promoted by nobody but
that person. A step that fails fails the run; then `record_failure`, which always runs last, leaves
a trace of it in MLflow.
"""

from pathlib import Path

from kfp import compiler, dsl

from components.align.component import align
from components.conversation import InputError, atomic_path
from components.corpus.component import corpus as read_corpus
from components.diarize.component import diarize
from components.evaluate.component import evaluate
from components.label.component import label
from components.register.component import (
    champion,
    promote,
    record_failure,
    record_refusal,
    register,
)
from components.train.component import train
from components.transcribe.component import transcribe


def _look_up(task: dsl.PipelineTask, name: str) -> None:
    """Name a step that reads or changes what lies outside; it is never taken from a cache."""
    task.set_display_name(name)
    task.set_caching_options(enable_caching=False)


@dsl.pipeline(
    name="moodline-retrain",
    display_name="Moodline: retrain",
    description="A labelled corpus to a gated version in the registry.",
)
def retrain(
    corpus: str,
    profile: str,
    git_commit: str = "unknown",
    promote_if_passed: bool = False,
    actor: str = "pipeline",
    reason: str = "",
) -> None:
    """The pipeline; its steps are listed above.

    Args:
        corpus: the corpus' folder, as the steps see it.
        profile: the profile as JSON text.
        git_commit: of the code, for the version's lineage.
        promote_if_passed: put the new version into production if its verdict is "pass".
        actor: who is named for a promotion.
        reason: why, for the same.
    """
    last = record_failure(git_commit=git_commit, profile=profile, corpus=corpus)
    _look_up(last, "Record a failure")
    with dsl.ExitHandler(last, name="retrain"):
        read = read_corpus(folder=corpus)
        # The folder's name says nothing about what is in it today.
        _look_up(read, "Read the corpus")
        manifest = read.outputs["manifest"]

        words = transcribe(corpus=manifest, profile=profile).set_display_name("Transcribe")
        spoken = diarize(corpus=manifest, profile=profile).set_display_name("Diarize")
        turns = align(
            transcripts=words.outputs["transcripts"],
            speakers=spoken.outputs["speakers"],
            profile=profile,
        ).set_display_name("Align")
        examples = label(turns=turns.outputs["turns"], corpus=manifest).set_display_name("Label")
        trained = train(
            corpus=manifest, examples=examples.outputs["examples"], profile=profile
        ).set_display_name("Train")

        best = champion()
        _look_up(best, "Fetch the champion")
        judged = evaluate(
            model=trained.outputs["model"],
            corpus=manifest,
            turns=turns.outputs["turns"],
            champion=best.outputs["model"],
            profile=profile,
        ).set_display_name("Evaluate")

        with dsl.If(judged.outputs["Output"] != "fail", name="not refused"):
            version = register(
                model=trained.outputs["model"],
                metrics=judged.outputs["metrics"],
                report=judged.outputs["report"],
                verdict=judged.outputs["verdict"],
                corpus=manifest,
                profile=profile,
                git_commit=git_commit,
            )
            _look_up(version, "Register")
            with (
                dsl.If(promote_if_passed == True, name="promotion wanted"),  # noqa: E712
                dsl.If(judged.outputs["Output"] == "pass", name="passed"),
            ):
                promoted = promote(version=version.output, actor=actor, reason=reason)
                _look_up(promoted, "Promote")
        with dsl.If(judged.outputs["Output"] == "fail", name="refused"):
            refused = record_refusal(
                metrics=judged.outputs["metrics"],
                report=judged.outputs["report"],
                verdict=judged.outputs["verdict"],
                corpus=manifest,
                profile=profile,
                git_commit=git_commit,
            )
            _look_up(refused, "Record the refusal")


def compile_pipeline(path: Path) -> None:
    """Write the pipeline as KFP's IR YAML, to be uploaded to any Kubeflow Pipelines.

    Raises:
        InputError: the file's name is none that KFP takes.
    """
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(f"{path}: a compiled pipeline is a .yaml file")
    with atomic_path(path) as temporary:
        compiler.Compiler().compile(retrain, str(temporary))
