"""`moodline batch`: a folder of recordings."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from components.base import InputError, atomic_path, check_new_folder
from pipelines.cli.console import note
from pipelines.cli.options import ProfileName, Runner, Speakers, profile_and_settings
from pipelines.cli.runs import shown_steps


def batch_command(
    folder: Annotated[Path, typer.Argument(help="Recordings, in folders or not.")],
    output: Annotated[Path, typer.Option("-o", help="A new folder for the turns (SegLST JSON).")],
    num_speakers: Speakers = None,
    profile: ProfileName = "demo",
    runner: Annotated[Runner, typer.Option("--runner", help="local or docker.")] = Runner.local,
) -> None:
    """A folder of recordings to turns with emotions, by the version in production.

    Recordings that were transcribed before are not transcribed again. On a cluster: moodline
    compile --pipeline batch.
    """
    if runner is Runner.kubeflow:
        raise InputError("on kubeflow: moodline compile --pipeline batch, and upload it there")
    chosen, settings = profile_and_settings(profile)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    check_new_folder(output)
    diarize = chosen.diarize.model_copy(update={"num_speakers": num_speakers})
    from pipelines.runners.local import run_pipeline

    with shown_steps() as on_step:
        run = run_pipeline(
            "batch",
            chosen.model_copy(update={"diarize": diarize}),
            {"folder": str(folder.resolve())},
            settings,
            mounts=(folder,) if runner is Runner.docker else None,
            on_step=on_step,
        )
    predictions = Path(run.outputs["predict"]["artifacts"]["predictions"])
    with atomic_path(output) as temporary:
        shutil.copytree(predictions, temporary)
    note(f"{output}: {len(list(output.iterdir()))} recordings")
