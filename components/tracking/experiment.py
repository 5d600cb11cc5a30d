"""The experiment in MLflow that holds every run of Moodline's."""

from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError
from components.config import Settings
from components.tracking.connection import MODEL, ignored, with_retries

if TYPE_CHECKING:
    from mlflow import MlflowClient


def experiment_id(client: "MlflowClient", settings: Settings) -> str:
    """The id of Moodline's experiment; it is created where it does not exist.

    A server decides itself where artifacts go; with a database alone the settings do.

    Raises:
        InputError: somebody has deleted it.
    """
    experiment = client.get_experiment_by_name(MODEL)
    if experiment is None:
        on_server = settings.mlflow_uri.startswith(("http://", "https://"))
        location = settings.mlflow_artifacts
        if "://" not in location:
            location = Path(location).resolve().as_uri()
        with ignored("RESOURCE_ALREADY_EXISTS"):
            return with_retries(
                lambda: client.create_experiment(MODEL, None if on_server else location)
            )
        experiment = client.get_experiment_by_name(MODEL)
    if experiment is None or experiment.lifecycle_stage != "active":
        raise InputError(
            f"MLflow's experiment {MODEL!r} has been deleted; restore it (mlflow experiments "
            "restore) and try again"
        )
    return experiment.experiment_id
