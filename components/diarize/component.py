"""The Kubeflow Pipelines component `diarize`."""

from typing import Optional

from kfp import dsl

from components.config import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def diarize(
    corpus: dsl.Input[dsl.Dataset],
    shard: str,
    profile: str,
    models: str,
    speakers: dsl.Output[dsl.Dataset],
    transcripts: Optional[dsl.Input[dsl.Dataset]] = None,  # noqa: UP045  # as kfp reads it
) -> None:
    """A shard of a corpus ("0/4" is the first of four) to speaker segments.

    With the shard's words, each sentence is heard again. The model's digest is an input so that
    KFP's cache tells weights apart.
    """
    from pathlib import Path

    from components.config import DiarizeStep, Settings
    from components.conversation import read_manifest
    from components.diarize import diarize_corpus

    index, shards = map(int, shard.split("/"))
    count = diarize_corpus(
        read_manifest(Path(corpus.path)),
        Path(speakers.path),
        DiarizeStep.model_validate_json(profile),
        Settings(),
        shard=(index, shards),
        transcripts=Path(transcripts.path) if transcripts else None,
    )
    speakers.metadata.update(shard=shard, recordings=count)
