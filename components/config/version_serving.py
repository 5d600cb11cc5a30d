"""How a version is served on a GPU: as the profile that it was made by said."""

from pathlib import Path

from components.base import InputError, read_json, validate
from components.config.parts import ServingSettings


def version_serving(folder: Path) -> ServingSettings:
    """What precision a version is served in, and what difference from its golden answers is right.

    Args:
        folder: the version's. One that says nothing is served in float32.

    Raises:
        InputError: its `profile.json` cannot be read.
    """
    path = folder / "profile.json"
    if not path.is_file():
        return ServingSettings()
    written = read_json(path)
    if not isinstance(written, dict):
        raise InputError(f"{path}: is not the profile that a version was made by")
    return validate(ServingSettings, written.get("serving") or {}, path.name)
