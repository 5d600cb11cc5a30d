"""Speaking to MLflow: one client, and every fault of it as one line."""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from components.base import (
    DiskFull,
    InputError,
    Unavailable,
    check_database,
    is_disk_full,
    masked,
    sqlite_path,
)
from components.config import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

MODEL = "moodline"
"""The registered model; also the name of the experiment that holds its runs."""

T = TypeVar("T")

_PAGE_SIZE = 1000

_MLFLOW_DEFAULTS = {
    # MLflow's own default is to try a dead server for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # A server whose files lie in an object store would send us there, under the address that it
    # has for the store. Who reaches MLflow need not reach that.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
}

_MAX_WAIT_SECONDS = 60.0
"""How long a write waits its turn while others write (SQLite lets one at a time)."""

_ACCOUNT = {
    "UNAUTHENTICATED": "asks who you are; set MLFLOW_TRACKING_USERNAME and "
    "MLFLOW_TRACKING_PASSWORD: ",
    "PERMISSION_DENIED": "this account may not do that: ",
}
"""What to do about an answer of MLflow's authentication; its own words follow."""

# What databases say of a write that lost to another: SQLite's lock, a version number or an alias
# that someone else inserted first (MLflow looks before it inserts), PostgreSQL's deadlock.
_RETRYABLE = ("locked", "giving up after", "unique constraint", "deadlock", "could not serialize")


@contextmanager
def mlflow_client(settings: Settings) -> Iterator["MlflowClient"]:
    """Give a client of the tracking and model registry at `settings.mlflow_uri`.

    The uri is handed to the client, never set globally, so that threads do not disturb each other.

    Raises:
        DiskFull: there was no room for what was written.
        InputError: the uri names no server and no database.
        Unavailable: MLflow, its database or its artifact store did not answer or failed; the
            block's own faults of other kinds pass through.
    """
    set_mlflow_defaults()
    check_mlflow(settings)
    from mlflow import MlflowClient

    uri = settings.mlflow_uri
    try:
        if uri.startswith("sqlite:"):
            settings.home.mkdir(parents=True, exist_ok=True)
        yield MlflowClient(uri, uri)
    except faults() as error:
        # MLflow wraps what the system says in more lines.
        full = next((line for line in str(error).splitlines() if is_disk_full(line)), None)
        if full is not None:
            raise DiskFull(
                f"no space left ({full.strip()[:300]}); free some and try again"
            ) from error
        why = _ACCOUNT.get(getattr(error, "error_code", ""), "") + _one_line(error)
        raise Unavailable(masked(f"MLflow at {uri}: {why}")) from error


def set_mlflow_defaults() -> None:
    """Set how MLflow's client behaves, where the environment does not say it."""
    for name, value in _MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)


def faults() -> tuple[type[Exception], ...]:
    """What MLflow, its database and its artifact store raise when they fail."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    common = (MlflowException, RequestException, SQLAlchemyError, OSError)
    # Nobody has spoken to S3 in a process that has not loaded its client.
    if "boto3" not in sys.modules:
        return common
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    return (*common, Boto3Error, BotoCoreError, ClientError)


def exists(settings: Settings) -> bool:
    """False if MLflow is a SQLite file that nobody has written yet: importing it takes seconds."""
    path = sqlite_path(settings.mlflow_uri)
    return path is None or path.exists()


def with_retries(write: Callable[[], T]) -> T:
    """Do a small write, again and again for a minute while it loses to other writers.

    Args:
        write: must be safe to repeat.
    """
    from mlflow.exceptions import MlflowException

    deadline = time.monotonic() + _MAX_WAIT_SECONDS
    while True:
        try:
            return write()
        except MlflowException as error:
            retryable = any(words in str(error).lower() for words in _RETRYABLE)
            exists_already = error.error_code == "RESOURCE_ALREADY_EXISTS"
            if exists_already or not retryable or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.02, 0.2))


def all_versions(client: "MlflowClient", name: str = "") -> list["ModelVersion"]:
    """Every version of a registered model, the newest first; without a name, of all models."""
    which = f"name='{name}'" if name else None
    query = partial(client.search_model_versions, which, max_results=_PAGE_SIZE)
    page = query()
    versions = list(page)
    while page.token:
        page = query(page_token=page.token)
        versions += page
    return sorted(versions, key=lambda version: -int(version.version))


@contextmanager
def ignored(code: str) -> Iterator[None]:
    """End the block at an MLflow fault with this error code, and go on after it."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != code:
            raise


def check_not_deleted(client: "MlflowClient", ledger: str) -> None:
    """Refuse a registry whose ledger names versions of a model that was deleted whole.

    MLflow would count a new one from 1 again, and the ledger would mean other versions by it.

    Raises:
        InputError: it is one.
    """
    with ignored("RESOURCE_DOES_NOT_EXIST"):
        client.get_registered_model(MODEL)
        return
    if all_versions(client, ledger):
        raise InputError(
            f"someone has deleted {MODEL} with all its versions from MLflow; delete {ledger}, "
            "which still names them, to begin anew"
        )


def ensure_registered_model(client: "MlflowClient", name: str, description: str) -> None:
    """Create a registered model unless it exists."""
    with ignored("RESOURCE_ALREADY_EXISTS"):
        with_retries(lambda: client.create_registered_model(name, description=description))


def check_mlflow(settings: Settings) -> None:
    """Find out within seconds that nobody is there; MLflow itself would try for minutes.

    Raises:
        InputError: the uri names no server and no database.
        Unavailable: nobody answers there.
    """
    uri = settings.mlflow_uri
    if not uri.startswith(("http://", "https://")):
        if not uri.startswith("sqlite:"):
            check_database(uri, "MOODLINE_MLFLOW_URI: MLflow's")
        return
    import httpx

    try:  # any answer at all will do
        httpx.get(f"{uri.rstrip('/')}/health", timeout=10)
    except httpx.HTTPError as error:
        raise Unavailable(
            masked(f"MLflow at {uri}: does not answer ({_one_line(error)})")
            + "; start it or set MOODLINE_MLFLOW_URI"
        ) from error


def _one_line(error: Exception) -> str:
    """An exception's own words, cut short: SQLAlchemy's and MLflow's go on for pages."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]
