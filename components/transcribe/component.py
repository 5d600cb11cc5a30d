"""The Kubeflow Pipelines component `transcribe`."""

from kfp import dsl

from components.profile.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def transcribe(
    corpus: dsl.Input[dsl.Dataset],
    profile: str,
    transcripts: dsl.Output[dsl.Dataset],
) -> None:
    """The recordings of a corpus to words with times."""
    from pathlib import Path

    from components.conversation import read_manifest
    from components.profile import Settings, load_profile
    from components.transcribe import transcribe_corpus

    transcribe_corpus(
        read_manifest(Path(corpus.path)),
        Path(transcripts.path),
        load_profile(profile),
        Settings(),
    )
