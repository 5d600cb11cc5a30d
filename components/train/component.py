"""The Kubeflow Pipelines component `train`."""

from kfp import dsl

from components.profile.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def train(
    corpus: dsl.Input[dsl.Dataset],
    examples: dsl.Input[dsl.Dataset],
    profile: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Labelled examples to a model version."""
    from pathlib import Path

    from components.conversation import read_manifest
    from components.profile import Settings, load_profile
    from components.train import train

    result = train(
        Path(examples.path),
        read_manifest(Path(corpus.path)),
        Path(model.path),
        load_profile(profile),
        Settings(),
    )
    model.metadata["digest"] = result.digest
    for name, value in {"best_epoch": result.best_epoch, **result.validation}.items():
        metrics.log_metric(name, value)
