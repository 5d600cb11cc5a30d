"""The Kubeflow Pipelines component `align`."""

from kfp import dsl

from components.profile.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def align(
    transcripts: dsl.Input[dsl.Dataset],
    speakers: dsl.Input[dsl.Dataset],
    turns: dsl.Output[dsl.Dataset],
    profile: str,
) -> None:
    """Words and speaker segments to turns, as the profile's `align` says.

    Of the segments those with one speaker at a time are taken.
    """
    from pathlib import Path

    from components.align import align_folder
    from components.conversation import EXCLUSIVE
    from components.profile import load_profile

    settings = load_profile(profile).align
    align_folder(
        Path(transcripts.path),
        Path(speakers.path) / EXCLUSIVE,
        Path(turns.path),
        max_pause=settings.max_pause,
        baseline=settings.baseline,
    )
