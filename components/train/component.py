"""The Kubeflow Pipelines components `train` and, over several nodes, `train_nodes`."""

from kfp import dsl

from components.config import CPU_IMAGE, SLIM_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def train(
    corpus: dsl.Input[dsl.Dataset],
    examples: dsl.Input[dsl.Dataset],
    profile: str,
    models: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Labelled examples to a model version; its digest.

    The models' digest is an input so that KFP's cache tells weights apart.
    """
    import json
    from pathlib import Path

    from components.config import Settings, TrainStep
    from components.conversation import read_manifest
    from components.train import train

    result = train(
        Path(examples.path),
        read_manifest(Path(corpus.path)),
        Path(model.path),
        TrainStep.model_validate_json(profile),
        Settings(),
    )
    model.metadata["digest"] = result.digest
    scores = {"best_epoch": result.best_epoch, **result.validation}
    Path(metrics.path).write_text(json.dumps(scores), encoding="utf-8")
    for name, value in scores.items():
        metrics.log_metric(name, value)
    return result.digest


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def train_nodes(
    corpus: dsl.Input[dsl.Dataset],
    examples: dsl.Input[dsl.Dataset],
    profile: str,
    models: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """As `train`, in the pods of a TrainJob, which this step makes and waits for.

    The job's manifest is in the environment: there it is no part of the step's key in KFP's cache.
    """
    import json
    import logging
    import os
    from pathlib import Path

    from components.config import Settings, TrainStep
    from components.train.nodes import TRAINJOB, train_on_nodes

    logging.getLogger("components").setLevel(logging.INFO)
    result = train_on_nodes(
        Path(examples.path),
        Path(corpus.path),
        Path(model.path),
        TrainStep.model_validate_json(profile),
        json.loads(os.environ[TRAINJOB]),
        Settings(),
    )
    model.metadata["digest"] = result.digest
    scores = {"best_epoch": result.best_epoch, **result.validation}
    Path(metrics.path).write_text(json.dumps(scores), encoding="utf-8")
    for name, value in scores.items():
        metrics.log_metric(name, value)
    return result.digest
