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
    """Words and speaker segments to turns, as the profile's `align` says."""
    from pathlib import Path

    from components.align import align_folder
    from components.profile import load_profile

    settings = load_profile(profile).align
    align_folder(
        Path(transcripts.path),
        Path(speakers.path),
        Path(turns.path),
        max_pause=settings.max_pause,
        baseline=settings.baseline,
    )
