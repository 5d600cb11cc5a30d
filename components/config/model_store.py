"""Prepared models in an object store or another folder, and how they reach this machine.

A model is a folder of that name right in the place. On a cluster an init container brings them
(infra/kubernetes/components/models-store); no hub is asked.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from components.base import (
    InputError,
    Location,
    Url,
    all_files,
    atomic_path,
    folders_in,
    is_part,
    tree_digest,
)
from components.config.models import is_prepared
from components.config.settings import Settings


def fetch_models(
    source: Location, settings: Settings, digests: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Bring models from a place into the folder of prepared models, each whole or not at all.

    One that is there with the digest asked for is not fetched again.

    Args:
        source: a folder, or `s3://bucket/path`, with a folder for each model in it.
        digests: the models to bring, by name, and the digest that each has to have
            (`speech_models.json` of a version); None: all that lie there.

    Returns:
        The digest of each, as `model_digest` makes it.

    Raises:
        InputError: there is no such model, or it has another digest.
        Unavailable: the store does not answer.
    """
    # A name that is its own digest is the hub's.
    wanted = {name: digest for name, digest in (digests or {}).items() if name != digest}
    if digests is None:
        wanted = {folder.name: "" for folder in _folders(source)}
    for name, digest in wanted.items():
        here = settings.models / name
        if not (digest and is_prepared(name, settings) and tree_digest(here) == digest):
            wanted[name] = _fetch(source, name, here, digest)
    return wanted


def _folders(source: Location) -> list[Location]:
    if isinstance(source, Path) and not source.is_dir():
        raise InputError(f"{source}: no such folder")
    folders = [folder for folder in folders_in(source) if not folder.name.startswith(".")]
    if not folders:
        raise InputError(f"{source}: no model lies there; each is a folder of its name")
    return folders


def _fetch(source: Location, name: str, target: Path, digest: str) -> str:
    """Bring one model; its digest."""
    files = all_files(source / name) if is_part(name) else []
    if not files:
        raise InputError(f"{source}: there is no model {name}")
    with atomic_path(target) as temporary:
        for location, parts in files:
            if not all(map(is_part, parts)):
                raise InputError(f"{location}: a file of a model cannot have this name")
            path = temporary.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(location, Url):
                with path.open("wb") as file:
                    location.fetch(file)
            else:
                shutil.copyfile(location, path)
        found = tree_digest(temporary)
        if digest and found != digest:
            raise InputError(
                f"{source}: the model {name} there has digest {found[:12]}, and {digest[:12]} is"
                " asked for; it was not taken"
            )
    return found
