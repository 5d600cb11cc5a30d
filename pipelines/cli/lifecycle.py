"""Commands on the model's life: retrain, compile, serve."""

import getpass
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.status import Status
from rich.table import Table

from components.base import Event, InputError, StepFailed
from components.config import Profile, Settings, load_profile
from components.register import Refused
from components.scoring import read_verdict
from pipelines.cli.console import err, file_option, note, out, print_json
from pipelines.cli.options import DEMO_CORPUS, ProfileName, Runner, profile_and_settings
from pipelines.cli.tables import checks_table

if TYPE_CHECKING:
    from pipelines.runners.local import RunResult

SHOWN = {
    "corpus-digest": "look at the corpus",
    "corpus": "read the corpus",
    "recordings-digest": "look at the recordings",
    "recordings": "read the recordings",
    "predict": "name the emotions",
    "transcribe": "transcribe (WhisperX)",
    "diarize": "find the speakers (pyannote)",
    "align": "align words and speakers",
    "label": "label the turns",
    "train": "train the fusion model",
    "champion": "look up the version in production",
    "fetch": "fetch it",
    "evaluate": "evaluate on the held-out fold",
    "register": "register in MLflow",
    "promote": "promote",
    "record-refusal": "record the refusal",
}


class PipelineName(StrEnum):
    """What there is to run."""

    retrain = "retrain"
    preprocess = "preprocess"
    batch = "batch"


def retrain_command(
    profile: ProfileName = "demo",
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", help="IEMOCAP's layout or a manifest; default: the demo's."),
    ] = None,
    feedback: Annotated[
        Path | None,
        typer.Option("--feedback", help="What moodline feedback export wrote; trained on only."),
    ] = None,
    runner: Annotated[Runner, typer.Option("--runner", help="Where the steps run.")] = Runner.local,
    cron: Annotated[
        str | None,
        typer.Option("--cron", help="On kubeflow: by this schedule, as in “0 3 * * 1”."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="On kubeflow: until it has ended.")] = False,
    host: Annotated[
        str | None, typer.Option("--host", help="Of kubeflow; default: MOODLINE_KFP_HOST.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="There; default: MOODLINE_KFP_NAMESPACE.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option("--experiment", help="There; default: MOODLINE_KFP_EXPERIMENT.")
    ] = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="Put it into production if its gate passes.")
    ] = False,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; kept with the version and its promotion.")
    ] = "",
    cause: Annotated[
        str, typer.Option("--cause", help="What started it, where nobody did; kept likewise.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """A corpus to a gated, registered version. Exit status 1: the gate said no.

    What was done before is not done again: a run that was killed goes on where it stopped. On
    kubeflow the corpus is named as its pods see it, and the token is MOODLINE_KFP_TOKEN.
    """
    if runner is Runner.kubeflow:
        if feedback is not None:
            raise InputError("--feedback: on kubeflow, put the joined corpus where the pods see it")
        from pipelines.cli.clusters import retrain_on_kubeflow

        named = {"kfp_host": host, "kfp_namespace": namespace, "kfp_experiment": experiment}
        there = Settings().model_copy(update={k: v for k, v in named.items() if v is not None})
        return retrain_on_kubeflow(
            load_profile(profile),
            corpus,
            there,
            promote=promote,
            reason=reason,
            cause=cause,
            cron=cron,
            wait=wait,
            as_json=as_json,
        )
    if cron or wait or host or namespace or experiment:
        raise InputError("--cron, --wait, --host, --namespace, --experiment need --runner kubeflow")
    chosen, settings = profile_and_settings(profile)
    if feedback is not None:
        if runner is Runner.docker:
            raise InputError("--feedback: not in containers, which see one corpus' folder only")
        from components.base import Cache
        from components.corpus import join_feedback

        corpus = join_feedback(corpus or DEMO_CORPUS, feedback, Cache(settings.cache))
    result = retrain(
        chosen,
        corpus or DEMO_CORPUS,
        settings,
        promote=promote,
        reason=reason,
        cause=cause,
        in_containers=runner is Runner.docker,
    )
    if as_json:
        print_json(
            {
                "folder": str(result.folder),
                "decision": result.decision,
                "reasons": result.reasons,
                "version": result.version,
                "promoted": result.promoted,
                "outputs": {name: str(path) for name, path in result.outputs.items()},
                "seconds": result.seconds,
                "reused": result.reused,
            }
        )
    else:
        show_result(result)
    return refuse_unless_passed(result)


def retrain(
    profile: Profile,
    corpus: Path,
    settings: Settings,
    *,
    promote: bool,
    reason: str,
    cause: str = "",
    in_containers: bool = False,
) -> "RunResult":
    """Run the retraining pipeline here, each step shown on standard error as it goes.

    Args:
        profile: what to run.
        corpus: its folder.
        settings: where things lie.
        promote: put the version into production if its verdict is "pass".
        reason: why.
        cause: what started it, where nobody did.
        in_containers: each step in a container.

    Raises:
        InputError: the corpus or a model is wrong.
        StepFailed: a step failed.
    """
    from pipelines.runners.local import run_local
    from pipelines.runners.outcome_metrics import record_outcome

    if not corpus.is_dir():
        raise InputError(f"{corpus}: no such folder; name a corpus")
    outcomes = settings.metrics / "retrain.prom"
    try:
        with err.status("starting") as status:
            result = run_local(
                profile,
                corpus,
                settings,
                in_containers=in_containers,
                promote=promote,
                actor=getpass.getuser(),
                reason=reason,
                cause=cause,
                on_step=lambda step: show_step(step, status),
            )
    except StepFailed:
        record_outcome(outcomes, "error")
        raise
    record_outcome(outcomes, result.decision, checks=read_verdict(result.outputs["verdict"]).checks)
    return result


def refuse_unless_passed(result: "RunResult") -> None:
    """End with exit status 1 if the gate did not pass.

    Raises:
        Refused: with the gate's reasons.
    """
    if result.decision != "pass":
        why = "; ".join(result.reasons)
        raise Refused(
            f"the gate says {result.decision}: {why} (report: {result.outputs['report']})"
        )


def show_result(result: "RunResult") -> None:
    """Print what a retraining came to: its numbers, the gate's verdict, the version."""
    metrics: dict[str, Any] = json.loads(result.outputs["metrics"].read_text(encoding="utf-8"))
    out.print(_numbers(metrics))
    out.print(checks_table(read_verdict(result.outputs["verdict"])))
    if result.version is not None:
        place = " and is in production" if result.promoted else ""
        out.print(f"Registered as version {result.version}{place}.")
    out.print(f"Report: {result.outputs['report']}", soft_wrap=True)


def _numbers(metrics: dict[str, Any]) -> Table:
    """The metrics' headline, as rows."""
    from components.evaluate import headline

    table = Table(box=None, pad_edge=False, show_header=False)
    for name, rate in headline(metrics).items():
        table.add_row(name.replace("_", " "), _number(rate))
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def show_step(event: Event, status: Status) -> None:
    """One line on standard error for a step that ended; what goes on in the status."""
    step = event.step
    name, _, part = step.rpartition("-") if step[-1:].isdigit() else (step, "", "")
    label = SHOWN.get(name, name) + (f" ({part})" if part else "")
    if event.state == "running":
        progress = f" {event.progress[0]}/{event.progress[1]}" if event.progress else ""
        status.update(label + progress)
    elif name in SHOWN:
        mark = "[red]✗[/red]" if event.state == "failed" else "[green]✓[/green]"
        took = "done before" if event.state == "reused" else f"{event.seconds:6.1f} s"
        err.print(f"  {mark} {label:38} {took}")


def compile_command(
    output: Annotated[Path, file_option("Where it goes: a .yaml file.")],
    pipeline: Annotated[
        PipelineName, typer.Option("--pipeline", help="Which one.")
    ] = PipelineName.retrain,
    profile: ProfileName = "demo",
    trainjob: Annotated[
        bool, typer.Option("--trainjob", help="A Kubeflow TrainJob instead.")
    ] = False,
    corpus: Annotated[
        Path, typer.Option("--corpus", help="A TrainJob's: the manifest, as the pods see it.")
    ] = Path("/moodline/corpus"),
    examples: Annotated[
        Path, typer.Option("--examples", help="A TrainJob's: the labelled examples.")
    ] = Path("/moodline/examples.parquet"),
    model: Annotated[
        Path, typer.Option("--model", help="A TrainJob's: where the version is written.")
    ] = Path("/moodline/model"),
) -> None:
    """A pipeline, built for a profile, as a file that any Kubeflow Pipelines takes.

    With --trainjob the training alone, over several nodes, as Kubeflow Trainer takes it.
    """
    if trainjob:
        from pipelines.definitions.trainjob import write_manifest

        chosen = load_profile(profile)
        write_manifest(chosen, corpus, examples, model, output)
        return note(f"{output}: kubectl apply -f it")
    from pipelines.definitions.compiled import compile_pipeline

    compile_pipeline(pipeline.value, load_profile(profile), output)
    return note(f"{output}: upload it to Kubeflow Pipelines")


def serve_command(
    profile: ProfileName = "demo",
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 3000,
) -> None:
    """Serve the version in production: a page and an API, Triton behind them. Ctrl-C stops it."""
    chosen, settings = profile_and_settings(profile)
    from serving.supervisor.serve import Serving, serve

    def ready(serving: Serving) -> None:
        version = serving.model.version if serving.model else "?"
        note(f"Serving version {version} on {serving.url} (API: {serving.url}/docs)")

    note("Starting Triton and the service, half a minute …")
    serve(settings, chosen, host, port, on_ready=ready)
