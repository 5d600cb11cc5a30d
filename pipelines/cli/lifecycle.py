"""Commands that run pipelines, and the service: retrain, batch, compile, serve."""

import logging
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from components.base import InputError, atomic_path, check_new_folder, located
from components.config import CHANNELS, Profile, Settings, load_profile, version_speech
from components.conversation import TURNS, check_channels, unpack_documents
from pipelines.cli.console import file_option, note, out, print_json, spinner, user_name
from pipelines.cli.conversations import tell_what_is_odd
from pipelines.cli.options import (
    CORPUS_ON_KUBEFLOW,
    DEMO_CORPUS,
    ByChannel,
    Changes,
    Host,
    MaxSpeakers,
    MinSpeakers,
    OwnProfile,
    Port,
    ProfileName,
    Runner,
    Speakers,
    cluster_profile,
    profile_and_settings,
    tell_unpinned,
)
from pipelines.cli.runs import refuse_unless_passed, show_result, show_retraining, shown_steps
from pipelines.runners.local import run_pipeline
from pipelines.runners.request import RetrainRequest

PipelineName = Literal["retrain", "preprocess", "batch"]


def retrain_command(
    profile: ProfileName = "demo",
    changes: Changes = None,
    corpus: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="IEMOCAP's layout or a manifest: a folder, or s3://bucket/path; default: the"
            " demo's.",
        ),
    ] = None,
    feedback: Annotated[
        Path | None,
        typer.Option(
            help="What moodline feedback export wrote; trained on only. On kubeflow, as its pods"
            " see it, or log: what their prediction log's database holds."
        ),
    ] = None,
    runner: Annotated[Runner, typer.Option(help="Where the steps run.")] = "local",
    cron: Annotated[
        str | None, typer.Option(help="On kubeflow: by this schedule, as in “0 3 * * 1”.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="On kubeflow: until it has ended.")] = False,
    host: Annotated[
        str | None, typer.Option(help="Of kubeflow; default: MOODLINE_KFP_HOST.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="There; default: MOODLINE_KFP_NAMESPACE.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(help="There; default: MOODLINE_KFP_EXPERIMENT.")
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="On kubeflow: take nothing from its cache.")
    ] = False,
    promote: Annotated[
        bool, typer.Option("--promote", help="Put it into production if its gate passes.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; kept with the version and its promotion.")] = "",
    cause: Annotated[
        str, typer.Option(help="What started it, where nobody did; kept likewise.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """A corpus to a gated, registered version. Exit status 1: the gate said no.

    What was done before is not done again: a run that was killed goes on where it stopped. On
    kubeflow the corpus is named as its pods see it, and the token is MOODLINE_KFP_TOKEN.
    """
    if runner == "kubeflow":
        if corpus is None:
            raise InputError(CORPUS_ON_KUBEFLOW)
    elif cron or wait or anew or host or namespace or experiment:
        only = "--cron, --wait, --anew, --host, --namespace, --experiment"
        raise InputError(f"{only} need --runner kubeflow")
    elif feedback is not None and runner == "docker":
        raise InputError("--feedback: not in containers, which see one corpus' folder only")
    request = RetrainRequest(
        corpus=DEMO_CORPUS if corpus is None else located(corpus),
        feedback=None if feedback is None else located(feedback),
        cache_name=uuid.uuid4().hex if anew else "",
        promote=promote, actor=user_name(), reason=reason, cause=cause,
    )  # fmt: skip
    if runner == "kubeflow":
        options = {"kfp_host": host, "kfp_namespace": namespace, "kfp_experiment": experiment}
        update = {name: value for name, value in options.items() if value is not None}
        cluster = Settings().model_copy(update=update)
        return _retrain_on_kubeflow(
            cluster_profile(profile, changes), request, cluster,
            cron=cron, wait=wait, as_json=as_json,
        )  # fmt: skip
    chosen, settings = profile_and_settings(profile, changes)
    tell_unpinned(chosen)
    result = show_retraining(chosen, request, settings, in_containers=runner == "docker")
    if as_json:
        print_json(asdict(result))
    else:
        show_result(result)
    return refuse_unless_passed(result)


def _retrain_on_kubeflow(
    profile: Profile, request: RetrainRequest, settings: Settings, *,
    cron: str | None, wait: bool, as_json: bool,
) -> None:  # fmt: skip
    """Start the retraining pipeline on a cluster, and say where it can be watched."""
    from pipelines.runners.kubeflow import submit

    tell_unpinned(profile)
    with spinner(f"speaking to {settings.kfp_host}"):
        run = submit(profile, request, settings, cron=cron, wait=wait)
    if as_json:
        return print_json(asdict(run))
    if not run.kfp_version:
        note("this Kubeflow Pipelines does not say its version; the pipelines need 2.15 or newer")
    kind = "Schedule" if cron else "Run"
    out.print(f"{kind} {run.id} of pipeline version {run.pipeline_version}: {run.url}")
    if run.state:
        out.print(f"It ended: {run.state}. What became of it: moodline registry list")
    return None


def batch_command(
    place: Annotated[
        str,
        typer.Argument(
            metavar="PLACE", help="Recordings, in folders or not: a folder, or s3://bucket/path."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", help="A new folder for the turns (SegLST JSON).")],
    num_speakers: Speakers = None,
    min_speakers: MinSpeakers = None,
    max_speakers: MaxSpeakers = None,
    channels: ByChannel = False,
    profile: OwnProfile = None,
    changes: Changes = None,
    runner: Annotated[Runner, typer.Option(help="local or docker.")] = "local",
) -> None:
    """A folder of recordings to turns with emotions, by the version in production.

    Films are taken, too. Each file that is left out is named. Exit status 1: the turns are
    written, and `batch` left out a recording that it could not read.

    Recordings that were transcribed before are not transcribed again. On a cluster: moodline
    compile --pipeline batch.
    """
    if runner == "kubeflow":
        raise InputError("on kubeflow: moodline compile --pipeline batch, and upload it there")
    from components.corpus import recording_files
    from components.register import download
    from serving.engine.options import Options

    counts: dict[str, Any] = {
        "num_speakers": num_speakers,
        "min_speakers": min_speakers,
        "max_speakers": max_speakers,
    }
    Options("", channels=channels, **counts)  # refuses what contradicts itself
    for name in counts:
        # A profile's are its corpus', and nothing is known of these recordings.
        if any(change.startswith(f"diarize.{name}=") for change in changes or ()):
            raise InputError(f"--set diarize.{name}: write --{name.replace('_', '-')}")
    chosen, settings = profile_and_settings(profile or "demo", changes)
    if not (profile or changes):
        version = download("production", settings.cache / "versions", settings)
        speech = version_speech(version, "").step
        own = {name: getattr(speech, name) for name in ("transcribe", "diarize", "align")}
        chosen = chosen.model_copy(update=own)
    Options("", channels=channels or chosen.diarize.pipeline == CHANNELS, **counts)
    by_channel = {"pipeline": CHANNELS} if channels else {}
    diarize = chosen.diarize.model_copy(update=counts | by_channel)
    # Read anew: what follows from its parts, and what contradicts.
    chosen = load_profile(chosen.model_copy(update={"diarize": diarize}).model_dump_json())
    folder = located(place)
    taken, left_out = recording_files(folder)
    for path in left_out:
        note(f"left out: {path} is no sound file by its name")
    unreadable = []
    for path in taken:
        try:
            tell_what_is_odd(path)
            if chosen.by_channel:
                check_channels(path)
        except InputError as error:
            unreadable.append(path)
            note(f"left out: {error}")
    if taken and len(unreadable) == len(taken):
        raise InputError(f"{folder}: holds no recording that can be read")
    check_new_folder(output)
    arguments = {"folder": str(folder.resolve())}
    mounts = [path for path in (folder,) if isinstance(path, Path)] if runner == "docker" else None
    with shown_steps() as on_step:
        run = run_pipeline("batch", chosen, arguments, settings, mounts=mounts, on_step=on_step)
    predictions = Path(run.outputs["predict"]["artifacts"]["predictions"])
    with atomic_path(output) as temporary:
        count = unpack_documents(predictions, TURNS, temporary, ".json")
    note(f"{output}: {count} recordings")
    if unreadable:
        note(f"moodline: {len(unreadable)} of {len(taken)} recordings could not be read")
        raise typer.Exit(1)


def compile_command(
    output: Annotated[Path, file_option("Where it goes: a .yaml file.")],
    pipeline: Annotated[PipelineName, typer.Option(help="Which one.")] = "retrain",
    profile: ProfileName = "demo",
    changes: Changes = None,
) -> None:
    """A pipeline, built for a profile, as a file that Kubeflow Pipelines takes, from 2.15 on."""
    chosen = load_profile(profile, changes or ())
    tell_unpinned(chosen)
    from pipelines.definitions.compiled import compile_pipeline

    compile_pipeline(pipeline, chosen, output)
    return note(f"{output}: upload it to Kubeflow Pipelines")


def serve_command(
    profile: Annotated[
        str, typer.Option(help="Device and precision of the speech models; default: the version's.")
    ] = "",
    changes: Changes = None,
    host: Host = "127.0.0.1",
    port: Port = 3000,
    wait: Annotated[
        bool, typer.Option("--wait", help="Start, unready, before a first version is promoted.")
    ] = False,
) -> None:
    """Serve the version in production: a page and an API, Triton behind them. Ctrl-C stops it.

    Its speech models are those that the version was made with, by its own profile. A profile that
    names others is refused.
    """
    if changes and not profile:
        raise InputError("--set: changes a profile; name it by --profile")
    settings, chosen = Settings(), load_profile(profile, changes or ()) if profile else None
    from serving.settings import ServeSettings
    from serving.supervisor.serve import Serving, serve

    def ready(serving: Serving) -> None:
        version = serving.model.version if serving.model else "?"
        note(f"Serving version {version} on {serving.url} (API: {serving.url}/docs)")

    if not logging.getLogger("serving").isEnabledFor(logging.WARNING):
        # What the supervisor warns of, nobody else says: a version that is gone from MLflow, say.
        logging.getLogger("serving").setLevel(logging.WARNING)
    note("Starting Triton and the service, half a minute …")
    options = ServeSettings()
    if wait:
        options = options.model_copy(update={"wait": True})
    serve(settings, chosen, host, port, serve=options, on_ready=ready)
