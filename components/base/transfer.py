"""Files and folders from this machine to a location that others see, and back."""

import shutil
from pathlib import Path

from components.base.errors import InputError
from components.base.files import atomic_path
from components.base.storage import Location, Url, all_files


def copy_to(source: Path, target: Location) -> None:
    """Copy a file or a folder to a location; what lies there of the same name is replaced.

    Raises:
        InputError, Unavailable: of an object; see `Url`.
    """
    for file, parts in _files(source):
        place = target
        for part in parts:
            place = place / part
        if isinstance(place, Url):
            place.put(file)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(place) as temporary:
            shutil.copyfile(file, temporary)


def copy_from(source: Location, target: Path) -> None:
    """Copy a file or a folder from a location, whole or not at all.

    Raises:
        InputError, Unavailable: of an object; see `Url`. InputError also where an object's key
            leads out of the folder.
    """
    with atomic_path(target) as temporary:
        if not isinstance(source, Url):
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, temporary)
            return
        objects = [(source, ())] if source.is_file() else all_files(source)
        for file, parts in objects:
            if not all(map(is_part, parts)):
                raise InputError(f"{file}: a file of a folder cannot have this name")
            place = temporary.joinpath(*parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as opened:
                file.fetch(opened)  # type: ignore[union-attr]


def is_part(name: str) -> bool:
    """Whether a part of an object's key can be the name of a file or a folder, which lies in the
    folder around it."""
    return name not in ("", ".", "..") and not set(name) & {"/", "\0"}


def delete_all(location: Location) -> None:
    """Delete a file, or a folder with all that is in it, if it is there.

    Raises:
        Unavailable: the store does not answer.
    """
    if isinstance(location, Url):
        for file in [*location.all_files(), location]:
            file.delete()
    elif location.is_dir():
        shutil.rmtree(location, ignore_errors=True)
    else:
        location.unlink(missing_ok=True)


def _files(source: Path) -> list[tuple[Path, tuple[str, ...]]]:
    """The files of a folder, with the parts of their paths in it; a file alone has none."""
    if source.is_file():
        return [(source, ())]
    return [(Path(str(file)), parts) for file, parts in all_files(source)]
