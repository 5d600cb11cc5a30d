"""Speaking to MLflow: its client, its faults as one line each, the experiment that holds all runs.

MLflow is imported inside functions only.
"""

from components.tracking.account import account_name
from components.tracking.connection import (
    MODEL,
    all_versions,
    check_mlflow,
    check_not_deleted,
    ensure_registered_model,
    exists,
    faults,
    ignored,
    mlflow_client,
    set_mlflow_defaults,
    with_retries,
)
from components.tracking.experiment import experiment_id
