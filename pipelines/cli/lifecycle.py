"""Commands on the model's life: retrain, compile, serve."""

import getpass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from components.base import InputError
from components.config import Settings, load_profile
from pipelines.cli.console import file_option, note, print_json
from pipelines.cli.options import (
    CORPUS_ON_KUBEFLOW,
    DEMO_CORPUS,
    ProfileName,
    Runner,
    profile_and_settings,
)
from pipelines.cli.runs import refuse_unless_passed, show_result, show_retraining


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
        if corpus is None:
            raise InputError(CORPUS_ON_KUBEFLOW)
    elif cron or wait or host or namespace or experiment:
        raise InputError("--cron, --wait, --host, --namespace, --experiment need --runner kubeflow")
    elif feedback is not None and runner is Runner.docker:
        raise InputError("--feedback: not in containers, which see one corpus' folder only")
    from pipelines.runners.request import RetrainRequest

    request = RetrainRequest(
        corpus=corpus or DEMO_CORPUS,
        feedback=feedback,
        promote=promote,
        actor=getpass.getuser(),
        reason=reason,
        cause=cause,
    )
    if runner is Runner.kubeflow:
        from pipelines.cli.clusters import retrain_on_kubeflow

        options = {"kfp_host": host, "kfp_namespace": namespace, "kfp_experiment": experiment}
        update = {name: value for name, value in options.items() if value is not None}
        cluster = Settings().model_copy(update=update)
        return retrain_on_kubeflow(
            load_profile(profile), request, cluster, cron=cron, wait=wait, as_json=as_json
        )
    chosen, settings = profile_and_settings(profile)
    result = show_retraining(chosen, request, settings, in_containers=runner is Runner.docker)
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
        from pipelines.definitions.trainjob import write_train_job

        chosen = load_profile(profile)
        write_train_job(chosen, corpus, examples, model, output)
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
