"""The MLflow runs that trainings have opened, and what becomes of them.

`components.train.tracking` opens them.

A model that was trained in this very pipeline's run is registered in the training's own MLflow run,
so that a version has its curves. A model out of KFP's cache was trained in an earlier one: the new
run then names it, and takes over what was trained on.
"""

from functools import partial
from typing import TYPE_CHECKING

from components.tracking import with_retries

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_DIGEST = "model_digest"
"""A training's tag with the digest of the model that came of it."""

TRAINING_RUN = "training_run"
"""The tag of a run that names the one in which its model was trained."""


def open_trainings(client: "MlflowClient", experiment: str, pipeline_run: str) -> list[str]:
    """The runs that trainings of a pipeline's run have opened and nobody has ended."""
    if not pipeline_run:
        return []
    query = f"tags.pipeline_run = '{pipeline_run}' and attributes.status = 'RUNNING'"
    return [run.info.run_id for run in client.search_runs([experiment], query)]


def open_training(
    client: "MlflowClient", experiment: str, pipeline_run: str, model: str
) -> str | None:
    """The open run in which a pipeline's run has trained a model.

    Args:
        model: its digest.
    """
    for run in open_trainings(client, experiment, pipeline_run):
        if client.get_run(run).data.tags.get(MODEL_DIGEST) == model:
            return run
    return None


def name_training(client: "MlflowClient", experiment: str, run: str, model: str) -> None:
    """Name, in another run, the one in which its model was trained, if there is one.

    Args:
        model: its digest.
    """
    from mlflow.entities import DatasetInput

    query = f"tags.{MODEL_DIGEST} = '{model}'"
    found = client.search_runs([experiment], query, order_by=["attributes.start_time DESC"])
    trained = next((other for other in found if other.info.run_id != run), None)
    if trained is None:
        return
    with_retries(partial(client.set_tag, run, TRAINING_RUN, trained.info.run_id))
    known = trained.inputs.dataset_inputs if trained.inputs else []
    inputs = [DatasetInput(one.dataset, one.tags) for one in known]
    if inputs:
        with_retries(partial(client.log_inputs, run, inputs))


def end_training(
    client: "MlflowClient", experiment: str, pipeline_run: str, model: str, known: str
) -> None:
    """End the run of a training whose model was registered before, with the same evidence.

    It is no longer found by the pipeline's run: that is the run with the evidence.

    Args:
        known: that run.
    """
    run = open_training(client, experiment, pipeline_run, model)
    if run is not None and run != known:
        with_retries(partial(client.set_tag, run, "registered_in", known))
        with_retries(partial(client.delete_tag, run, "pipeline_run"))
        with_retries(partial(client.set_terminated, run))
