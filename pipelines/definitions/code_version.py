"""Which code it is that runs."""

import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from components.base import json_digest
from components.config import ClusterSettings, Settings

ROOT = Path(__file__).resolve().parents[2]

MOODLINE = (sys.executable, "-c", "from pipelines.cli.main import main; main()")
"""The command line of this very code, for a child process with `child_environment`."""

CODE = ("components", "serving/triton")
"""The steps' code."""

_KINDS = ("*.py", "*.j2")

IMAGE_FILES = (
    "requirements.lock",
    "infra/locks/slim.lock",
    "infra/locks/images.lock",
    "infra/images/Dockerfile",
    "infra/images/environment.sh",
)
"""What decides an image besides its code; the images hold these files, too, to know their names."""


@cache  # a pipeline asks for it with each of its steps
def code_digest() -> str:
    """What names the steps' code: 12 digits over `CODE` and all that its images are made of.

    The images' tag is made of it, and with the image it becomes a part of what KFP knows a step's
    work by: a step that other code did is done again. Profiles are arguments, and do not count.
    """
    files = sorted(p for folder in CODE for kind in _KINDS for p in (ROOT / folder).rglob(kind))
    whole = hashlib.sha256()
    for path in [*files, *(ROOT / name for name in IMAGE_FILES)]:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(ROOT).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()[:12]


def image(name: str, registry: str = "") -> str:
    """An image's full name: the registry before it, the code's digest behind it."""
    return f"{registry}/{name}:{code_digest()}".lstrip("/")


def cluster_image(name: str, cluster: ClusterSettings) -> str:
    """An image's full name on a cluster: by its own digest where the profile gives that."""
    for kind, given in cluster.images.items():
        if name == f"moodline/{kind}":
            return given
    return image(name, cluster.registry)


def steps_code(cluster: ClusterSettings) -> str:
    """What names the code that a run's steps are, with the images that the profile names itself."""
    if not cluster.images:
        return code_digest()
    return json_digest([code_digest(), sorted(cluster.images.items())])


def git_commit() -> str:
    """The commit of the code that runs, with `-dirty` where files were changed since.

    In an image, which has no git, it is the one that the image was built from.
    """
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return Settings().git_commit or "unknown"
    return done.stdout.decode().strip()


def child_environment(settings: Settings) -> dict[str, str]:
    """The environment of a child process: this one's, the settings, and this code to import."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, **settings.environment(), "PYTHONPATH": path}
