"""The Kubeflow Pipelines component `label`."""

from kfp import dsl

from components.config import SLIM_IMAGE


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def label(
    turns: dsl.Input[dsl.Dataset],
    corpus: dsl.Input[dsl.Dataset],
    examples: dsl.Output[dsl.Dataset],
) -> None:
    """Turns to labelled examples."""
    from pathlib import Path

    from components.conversation import read_manifest
    from components.label import label_corpus

    counts = label_corpus(Path(turns.path), read_manifest(Path(corpus.path)), Path(examples.path))
    examples.metadata.update(counts)
