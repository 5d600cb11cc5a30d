"""The Kubeflow Pipelines component `label`."""

from kfp import dsl

from components.config import SLIM_IMAGE


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def label(
    turns: dsl.Input[dsl.Dataset],
    corpus: dsl.Input[dsl.Dataset],
    labels: str,
    examples: dsl.Output[dsl.Dataset],
) -> None:
    """Turns to labelled examples; `labels` are the profile's (`LabelStep`)."""
    from pathlib import Path

    from components.config import LabelStep
    from components.conversation import read_manifest
    from components.label import label_corpus

    step = LabelStep.model_validate_json(labels)
    recordings = read_manifest(Path(corpus.path))
    counts = label_corpus(Path(turns.path), recordings, Path(examples.path), step.labels)
    examples.metadata.update(counts)
