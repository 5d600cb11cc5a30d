"""MLflow's server with accounts: HTTP basic authentication, the accounts in MLflow's own database.

MLflow reads from a file where accounts lie. That file is written here, when the server starts, so
that the database's password stands in no image and no manifest. Then the account that Moodline uses
is made, or given its new password, and MLflow takes this process's place.

    MLFLOW_BACKEND_STORE_URI         the database
    MLFLOW_AUTH_ADMIN_PASSWORD       of the account `admin`, which makes those of people
    MLFLOW_FLASK_SERVER_SECRET_KEY   any long random text, the same for all copies
    MLFLOW_TRACKING_USERNAME         Moodline's account
    MLFLOW_TRACKING_PASSWORD         its password, at least 12 characters

usage: mlflow_server.py [options of `mlflow server`]
"""

import os
import re
import sys
import tempfile
from pathlib import Path

NEEDED = (
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_AUTH_ADMIN_PASSWORD",
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
)
OWN_MODELS = ("moodline", "moodline-ledger")
EXPERIMENT = "moodline"


def write_settings(folder: Path, database: str) -> Path:
    """The file of MLflow's authentication; whoever has an account may read, and no more."""
    path = folder / "basic_auth.ini"
    content = {"default_permission": "READ", "database_uri": database, "admin_username": "admin"}
    # A password's hash costs half a second of processor time, which is too much for each request.
    content["auth_cache_ttl_seconds"] = "60"
    # In this kind of file a percent sign begins a reference.
    lines = [f"{name} = {value.replace('%', '%%')}" for name, value in content.items()]
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(["[mlflow]", *lines, ""]))
    return path


def make_account(database: str, name: str, password: str) -> None:
    """Moodline's account: its own models and its own experiment, as far as they are there, are its.

    What it makes from now on is its anyway.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    experiment = MlflowClient(database, database).get_experiment_by_name(EXPERIMENT)
    store = SqlAlchemyStore()
    store.init_db(database)
    try:
        store.create_user(name, password)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        store.update_user(name, password=password)
    for model in OWN_MODELS:
        store.grant_user_permission(name, "registered_model", model, "MANAGE")
    if experiment is not None:
        store.grant_user_permission(name, "experiment", experiment.experiment_id, "MANAGE")


def main() -> None:
    """Make the account and become MLflow's server."""
    lacking = [name for name in NEEDED if not os.environ.get(name)]
    if lacking:
        sys.exit(f"mlflow: set {', '.join(lacking)}")
    database = re.sub("^postgres(ql)?://", "postgresql+psycopg2://", os.environ[NEEDED[0]])
    name, password = os.environ.pop(NEEDED[3]), os.environ.pop(NEEDED[4])
    os.environ["MLFLOW_BACKEND_STORE_URI"] = database
    settings = write_settings(Path(tempfile.mkdtemp(prefix="mlflow-")), database)
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = str(settings)
    make_account(database, name, password)
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", *sys.argv[1:]]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
