"""What is wrong with the settings is told before anything is started: in one line, in seconds."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from components.base import InputError, Url, check_database
from components.config import Settings
from components.register import check_mlflow
from components.traffic.tables import SCHEMA as FEEDBACK
from serving.database import SCHEMA as SERVICE
from serving.keys import Keys
from serving.processes import port_is_free
from serving.settings import ServeSettings


def check_configuration(settings: Settings, serve: ServeSettings, host: str, port: int) -> None:
    """Check what the service would only stumble over after its start.

    A worker that is replaced while a database is away starts without it. The whole service does
    not: then its address is more likely to be wrong. The registry may be away where a version was
    served before (see `Backend`), or where a first one is waited for.

    Args:
        settings: where things lie.
        serve: the service's settings.
        host: the address to listen on.
        port: the port to listen on.

    Raises:
        InputError: a port is taken, the file of keys is wrong, or a database's URL is; uploads lie
            in an object store without a PostgreSQL; or the model repository's bucket is not there.
        Unavailable: a database, MLflow or the object store does not answer, or refuses us.
    """
    if not port_is_free(host, port):
        raise InputError(f"{host}:{port} cannot be listened on; choose another port")
    if port == serve.triton_metrics_port:
        raise InputError(f"MOODLINE_SERVE_TRITON_METRICS_PORT={port}: is the service's own port")
    if isinstance(serve.shared_folder(settings.home), Url) and not serve.store_is_shared:
        # Each copy would take the others' uploads for those of no job, and delete them.
        raise InputError(
            f"MOODLINE_SERVE_FOLDER={serve.folder}: its uploads belong to jobs that all copies have"
            " to know; name a PostgreSQL by MOODLINE_SERVE_STORE"
        )
    if serve.keys:
        Keys(Path(serve.keys))
    databases = (
        (serve.store_url(settings.home), "MOODLINE_SERVE_STORE: the job", SERVICE),
        (settings.feedback_url, "MOODLINE_FEEDBACK_URL: the feedback", FEEDBACK),
    )
    with ThreadPoolExecutor() as threads:  # one that is silent takes seconds
        checks: list[Future[Any]] = [threads.submit(check_database, *one) for one in databases]
        if (store := settings.shared_repository) is not None:
            checks.append(threads.submit(store.is_dir))
        if not (serve.wait or serve.pointer.exists()):
            checks.append(threads.submit(check_mlflow, settings))
        for check in checks:
            check.result()
