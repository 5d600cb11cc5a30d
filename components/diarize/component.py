"""The Kubeflow Pipelines component `diarize`."""

from kfp import dsl

from components.profile.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def diarize(
    corpus: dsl.Input[dsl.Dataset],
    profile: str,
    speakers: dsl.Output[dsl.Dataset],
) -> None:
    """The recordings of a corpus to speaker segments."""
    from pathlib import Path

    from components.conversation import read_manifest
    from components.diarize import diarize_corpus
    from components.profile import Settings, load_profile

    diarize_corpus(
        read_manifest(Path(corpus.path)),
        Path(speakers.path),
        load_profile(profile),
        Settings(),
    )
