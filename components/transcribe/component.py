"""The Kubeflow Pipelines component `transcribe`."""

from kfp import dsl

from components.config import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def transcribe(
    corpus: dsl.Input[dsl.Dataset],
    shard: str,
    profile: str,
    models: str,
    transcripts: dsl.Output[dsl.Dataset],
) -> None:
    """A shard of a corpus ("0/4" is the first of four) to words with times.

    The models' digest is an input so that KFP's cache tells weights apart.
    """
    from pathlib import Path

    from components.config import Settings, TranscribeStep
    from components.conversation import read_manifest
    from components.transcribe import transcribe_corpus

    index, shards = map(int, shard.split("/"))
    count = transcribe_corpus(
        read_manifest(Path(corpus.path)),
        Path(transcripts.path),
        TranscribeStep.model_validate_json(profile),
        Settings(),
        shard=(index, shards),
    )
    transcripts.metadata.update(shard=shard, recordings=count)
