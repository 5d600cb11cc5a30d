"""Triton's model repository in an object store, where every Triton reads it for itself.

    s3://bucket/path/moodline/config.pbtxt       as `serving.triton.repository` writes it
    s3://bucket/path/moodline/<version>/…        and files.json: the digests of the others

Triton does not start on a place where nothing lies. So the service leaves a file there when it
starts, and `python -m serving.triton.repository_store URL` waits for it, before Triton is started.

A store replaces one object at a time. So a version's files come first, then `files.json`, which
says that they are whole, and the configuration that names the version last. Triton reads the
version only once it is told to load, and then by that configuration.
"""

import json
import logging
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from components.base import InputError, MissingError, Unavailable, Url, file_digest, located
from components.conversation import Seconds

logger = logging.getLogger(__name__)

CONFIG, DIGESTS = "config.pbtxt", "files.json"
README = b"Triton's model repository. Moodline's service writes it; change nothing by hand.\n"

AWAIT_SECONDS: Seconds = 2.0
"""Between two looks at a repository that is waited for."""


def prepare_repository(store: Url) -> None:
    """Leave a file where nothing lies yet.

    Raises:
        Unavailable: the store does not answer, or has no such bucket.
    """
    with _unavailable():
        if not store.is_dir():
            (store / "README.txt").put_bytes(README)


def await_repository(store: Url) -> None:
    """Return once something lies there; what keeps it from that is logged.

    Raises:
        InputError: there is no such bucket.
    """
    logged = ""
    while True:
        try:
            if store.is_dir():
                return
            reason = f"{store}: nothing lies there yet; the service writes it when it starts"
        except Unavailable as error:
            reason = str(error)
        if reason != logged:
            logger.warning("%s", reason)
        logged = reason
        time.sleep(AWAIT_SECONDS)


def publish(repository: Path, store: Url, model: str, versions: Iterable[int]) -> None:
    """Write a model's versions into the store, and then its configuration, unless they are there.

    Args:
        repository: where both lie on this machine.
        store: the repository in the store.
        model: its name.
        versions: the numbers of the folders in it.

    Raises:
        Unavailable: as `prepare_repository`.
    """
    with _unavailable():
        for version in sorted(versions):
            number = str(version)
            _publish_version(repository / model / number, store / model / number)
        content = (repository / model / CONFIG).read_bytes()
        place = store / model / CONFIG
        if _content(place) != content:
            place.put_bytes(content)


def _publish_version(folder: Path, place: Url) -> None:
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    digests = json.dumps({name: file_digest(path) for name, path in files.items()}).encode()
    if _content(place / DIGESTS) == digests and {f.name for f in place.files()} >= set(files):
        return
    (place / DIGESTS).delete()
    for name, path in files.items():
        (place / name).put(path)
    (place / DIGESTS).put_bytes(digests)
    logger.info("wrote %s", place)


def check_repository(store: Url) -> None:
    """See that the store answers.

    Raises:
        Unavailable: as `prepare_repository`.
    """
    with _unavailable():
        store.is_dir()


def drop_published(
    folder: Url, needed: Collection[int], older_than: float, prefix: str = ""
) -> None:
    """Delete versions' folders from the store, but for those needed and the recent ones.

    Args:
        folder: that holds a folder of each version.
        needed: versions that are kept.
        older_than: seconds since 1970; a folder with an object that was written later is kept.
        prefix: what stands before the version's number in the name of its folder.

    Raises:
        Unavailable: as `prepare_repository`.
    """
    with _unavailable():
        for place in folder.folders():
            number = place.name.removeprefix(prefix)
            unneeded = number.isdecimal() and int(number) not in needed
            if not (place.name.startswith(prefix) and unneeded):
                continue
            files = place.all_files()
            if all(file.state().written <= older_than for file in files):
                for file in files:
                    file.delete()
                logger.info("deleted %s", place)


def _content(place: Url) -> bytes | None:
    try:
        return place.read_bytes()
    except MissingError:
        return None


@contextmanager
def _unavailable() -> Iterator[None]:
    """What is wrong with the store says nothing about a version."""
    try:
        yield
    except InputError as error:
        raise Unavailable(str(error)) from error


def main() -> None:
    """Wait for the repository that the command line names."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        store = located(sys.argv[1])
        if not isinstance(store, Url):
            raise InputError(f"{store}: is no object store; an example: s3://bucket/path")
        await_repository(store)
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
