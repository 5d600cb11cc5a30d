"""What local runs left, and may go: folders of runs, finished work, experiments.

    <runs>/…, <runs>/trigger-…   kept where a registered version, or a kept run, names them
    <cache>/…                    finished work; what is missing is made again
    <home>/experiments/…         tables and reports

What a rollback or a reader needs of a version lies in MLflow (see `components.register.pruning`);
a run's folder holds the turns, examples and predictions that the version was made from.
"""

import os
import re
import shutil
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from components.base import read_json
from components.config import Settings
from components.conversation import Seconds
from pipelines.runners.local import no_run_goes_on
from pipelines.runners.local_process import OUTPUTS

Kind = Literal["run", "cache", "experiment"]

DAY: Seconds = 86_400.0

_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}|trigger-\d{6,}")
"""The names of folders of runs; what else lies beside them is left alone."""

_SHARED = re.compile(r"[0-9a-f]{2}|of-.+")
"""The names of the cache's folders that hold many results (see `components.base.Cache`)."""

_GOING = ".pruned-"
"""How the name of what is being deleted begins."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A folder that a run left, or all old files of the cache.

    Attributes:
        size: of its files, in bytes.
        used: when a file of it was last written; of the cache, or read. In seconds since 1970.
        kept: why it stays; empty: it goes.
    """

    kind: Kind
    path: Path
    size: int
    used: float
    kept: str = ""


def plan_runs(
    settings: Settings, *, days: float, versions: Collection[int], needed: Collection[str] = ()
) -> list[Leftover]:
    """What `prune_runs` would do, the oldest first; the files of the cache that go are one entry.

    Args:
        days: what was used since then stays.
        versions: the numbers of the registered versions; the run that made one stays.
        needed: folders that the trigger needs; they stay.
    """
    oldest = time.time() - days * DAY
    young = f"is younger than {days:g} days"
    runs = []
    for path in (path for path in _folders(settings.runs) if _RUN.fullmatch(path.name)):
        size, used = _measure(path)
        made = {number for outputs in _outputs(path) for number in _version(outputs)}
        kept = f"made version {min(made & {*versions})}" if made & {*versions} else ""
        kept = kept or ("the trigger needs it" if str(path) in needed else "")
        runs.append(Leftover("run", path, size, used, kept or (young if used > oldest else "")))
    found = _with_what_they_name(runs)
    for path in _folders(settings.home / "experiments"):
        size, used = _measure(path)
        found.append(Leftover("experiment", path, size, used, young if used > oldest else ""))
    old = list(_old_entries(settings.cache, oldest))
    if old:
        size, used = sum(size for _, size, _ in old), max(used for _, _, used in old)
        found.append(Leftover("cache", settings.cache, size, used))
    return sorted(found, key=lambda leftover: leftover.used)


def prune_runs(
    settings: Settings, *, days: float, versions: Collection[int], needed: Collection[str] = ()
) -> list[Leftover]:
    """Delete what `plan_runs` does not keep; what was deleted.

    While a run goes on nothing is deleted: it may read what runs before it left.

    Raises:
        Unavailable: a run goes on.
    """
    with no_run_goes_on(settings):
        gone = [
            leftover
            for leftover in plan_runs(settings, days=days, versions=versions, needed=needed)
            if not leftover.kept
        ]
        for leftover in gone:
            if leftover.kind != "cache":
                _remove(leftover.path)
                continue
            for path, _, _ in _old_entries(settings.cache, time.time() - days * DAY):
                _remove(path)
        for root in (settings.runs, settings.home / "experiments", settings.cache):
            for depth in ("", "*/", "*/*/"):
                for path in list(root.glob(f"{depth}{_GOING}*")):
                    _remove(path)  # a prune that was killed left it
    return gone


def _folders(root: Path) -> list[Path]:
    """The folders in a folder, by their whole paths; what is hidden or a link is not ours."""
    if not root.is_dir():
        return []
    inside = (path for path in root.resolve().iterdir() if not path.name.startswith("."))
    return sorted(path for path in inside if path.is_dir() and not path.is_symlink())


def _outputs(folder: Path) -> Iterator[dict[str, Any]]:
    """What the runs in a folder left: a trigger's folder holds those of one request."""
    for path in (*folder.glob(OUTPUTS), *folder.glob(f"*/{OUTPUTS}")):
        with suppress(Exception):  # of a run that was killed while it wrote
            yield read_json(path)


def _version(outputs: dict[str, Any]) -> set[int]:
    """The version that a run registered, or came to again."""
    register = outputs.get("register", {}).get("parameters", {})
    return {int(register["Output"])} - {0} if register.get("Output") else set()


def _with_what_they_name(runs: list[Leftover]) -> list[Leftover]:
    """Keep, with each run, those before it whose finished steps it took over."""
    by_path = {run.path: run for run in runs}
    todo = [run.path for run in runs if run.kept]
    while todo:
        keeper = todo.pop()
        for outputs in _outputs(keeper):
            for step in outputs.values():
                for artifact in step.get("artifacts", {}).values():
                    for path in Path(artifact).parents:
                        if path in by_path and not by_path[path].kept:
                            kept = f"{keeper.name} took over steps of it"
                            by_path[path] = replace(by_path[path], kept=kept)
                            todo.append(path)
    return list(by_path.values())


def _measure(path: Path, *, read: bool = False) -> tuple[int, float]:
    """The size of a file or of a folder's files, and when one was last written, or `read`."""
    size, used = 0, path.lstat().st_mtime
    files = (Path(where, name) for where, _, names in os.walk(path) for name in names)
    for file in (path,) if path.is_file() else files:
        with suppress(FileNotFoundError):
            about = file.lstat()
            size += about.st_size
            # A file system may note at most once a day that a file is read, or not at all.
            used = max(used, about.st_mtime, about.st_atime if read else 0.0)
    return size, used


def _old_entries(cache: Path, oldest: float) -> Iterator[tuple[Path, int, float]]:
    """The finished work that was neither written nor read since then: path, size, last use.

    A folder is one result and goes whole: half of one would be taken for all of it. What lies in
    the cache itself is no work, but locks and what is to be erased.
    """
    kinds = cache.iterdir() if cache.is_dir() else ()
    inside = (path for kind in kinds if kind.is_dir() for path in kind.iterdir())
    for path in inside:
        shared = path.is_dir() and _SHARED.fullmatch(path.name)
        for entry in path.iterdir() if shared else (path,):
            size, used = _measure(entry, read=True)
            if used <= oldest:
                yield entry, size, used


def _remove(path: Path) -> None:
    """Remove a file or folder; it is whole, or it is gone, whenever this is killed."""
    if not path.name.startswith(_GOING):
        path = path.rename(path.with_name(f"{_GOING}{uuid.uuid4().hex}"))
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
