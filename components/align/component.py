"""The Kubeflow Pipelines component `align`."""

from kfp import dsl

from components.config import SLIM_IMAGE


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def align(
    transcripts: dsl.Input[list[dsl.Dataset]],
    speakers: dsl.Input[list[dsl.Dataset]],
    turns: dsl.Output[dsl.Dataset],
    profile: str,
) -> None:
    """Words and speaker segments of all shards to turns, as the profile's `align` says.

    Uses the exclusive segments (one speaker at a time).
    """
    from pathlib import Path

    from components.align import align_corpus
    from components.config import AlignSettings

    settings = AlignSettings.model_validate_json(profile)
    count = align_corpus(
        [Path(shard.path) for shard in transcripts],
        [Path(shard.path) for shard in speakers],
        Path(turns.path),
        **settings.model_dump(),
    )
    turns.metadata.update(recordings=count, **settings.model_dump())
