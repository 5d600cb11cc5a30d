"""A run's steps in containers on this machine."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.base import InputError, Unavailable
from components.config import CPU_IMAGE, SLIM_IMAGE, Settings
from pipelines.definitions.code_version import image

_GIVEN = ("MOODLINE_", "MLFLOW_", "AWS_", "HF_", "TRANSFORMERS_", "PYANNOTE_", "TOKENIZERS_")
"""Variables that the steps get, credentials among them: they are on no disk, in no image."""

_LABEL = "moodline.run"


def check_engine() -> None:
    """Find out at once whether containers can be run.

    Raises:
        Unavailable: no Docker engine answers.
        InputError: an image is not there.
    """
    import docker
    from docker.errors import DockerException, ImageNotFound

    try:
        client = docker.from_env(timeout=10)
        for name in (SLIM_IMAGE, CPU_IMAGE):
            client.images.get(image(name))
    except ImageNotFound:
        raise InputError(
            f"there is no image {image(name)} (the tag is this code's digest); run: make images"
        ) from None
    except DockerException as error:
        raise Unavailable(f"no Docker engine answers: {' '.join(str(error).split())}") from None


def stop_containers(run: str) -> None:
    """End what of a run's steps still runs: an engine goes on when who asked it has gone."""
    import docker
    from docker.errors import DockerException

    # An engine that has gone away took them along.
    with contextlib.suppress(DockerException):
        for container in docker.from_env().containers.list(filters={"label": f"{_LABEL}={run}"}):
            container.kill()


def container_arguments(mounts: Sequence[str], run: str) -> dict[str, Any]:
    """What kfp's DockerRunner is to pass to `docker run`.

    Everything has the same path inside as outside: Moodline's own folders, and the `mounts`, which
    the steps only read. The steps run as whoever starts the run, so that it owns what they write;
    and in the host's network, where MLflow may listen on the loopback.
    """
    settings = Settings()
    own = (settings.home, settings.models, settings.cache)
    for folder in own:
        folder.mkdir(parents=True, exist_ok=True)
    folders = {str(Path(folder).resolve()): False for folder in own}
    folders = dict.fromkeys(mounts, True) | folders
    return {
        "environment": {
            **{k: v for k, v in os.environ.items() if k.startswith(_GIVEN)},
            "HOME": "/tmp",
            "PYTHONWARNINGS": "ignore",
            "PYTHONUNBUFFERED": "1",
        },
        "mounts": [
            {"Type": "bind", "Source": folder, "Target": folder, "ReadOnly": readonly}
            for folder, readonly in folders.items()
        ],
        "labels": {_LABEL: run},
        "network_mode": "host",
        "user": f"{os.getuid()}:{os.getgid()}",
    }
