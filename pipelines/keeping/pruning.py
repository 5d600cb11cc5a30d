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
    settings: Settings, *, days: float, versions: Collection[int], named: Collection[str] = ()
) -> list[Leftover]:
    """What `prune_runs` would do, the oldest first; the files of the cache that go are one entry.

    Args:
        days: what was used since then stays.
        versions: the numbers of the registered versions; the run that made one stays.
        named: folders that the trigger's ledger names last for a cause; they stay.
    """
    oldest = time.time() - days * DAY
    young = f"is younger than {days:g} days"
    runs = []
    for path in (path for path in _folders(settings.runs) if _RUN.fullmatch(path.name)):
        size, used = _measure(path)
        made = {number for outputs in _outputs(path) for number in _version(outputs)}
        kept = f"made version {min(made & {*versions})}" if made & {*versions} else ""
        kept = kept or ("the trigger's ledger names it" if str(path) in named else "")
        runs.append(Leftover("run", path, size, used, kept or (young if used > oldest else "")))
    found = _with_what_they_name(runs)
    for path in _folders(settings.home / "experiments"):
        size, used = _measure(path)
        found.append(Leftover("experiment", path, size, used, young if used > oldest else ""))
    old = list(_old_files(settings.cache, oldest))
    if old:
        sizes, times = [about.st_size for _, about in old], [_last_use(about) for _, about in old]
        found.append(Leftover("cache", settings.cache, sum(sizes), max(times)))
    return sorted(found, key=lambda leftover: leftover.used)


def prune_runs(
    settings: Settings, *, days: float, versions: Collection[int], named: Collection[str] = ()
) -> list[Leftover]:
    """Delete what `plan_runs` does not keep; what was deleted.

    While a run goes on nothing is deleted: it may read what runs before it left.

    Raises:
        Unavailable: a run goes on.
    """
    with no_run_goes_on(settings):
        gone = [
            leftover
            for leftover in plan_runs(settings, days=days, versions=versions, named=named)
            if not leftover.kept
        ]
        for leftover in gone:
            if leftover.kind != "cache":
                shutil.rmtree(leftover.path)
                continue
            for path, _ in _old_files(settings.cache, time.time() - days * DAY):
                path.unlink(missing_ok=True)
            _remove_empty(settings.cache)
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


def _measure(folder: Path) -> tuple[int, float]:
    """The size of a folder's files, and when one was last written."""
    size, used = 0, folder.stat().st_mtime
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                about = os.lstat(Path(where, name))
                size, used = size + about.st_size, max(used, about.st_mtime)
    return size, used


def _old_files(cache: Path, oldest: float) -> Iterator[tuple[Path, os.stat_result]]:
    """The files of finished work that were neither written nor read since then."""
    for where, _, names in os.walk(cache):
        for path in (Path(where, name) for name in names):
            if path.suffix == ".lock" or path.parent == cache:
                continue  # locks, and what is to be erased
            with suppress(FileNotFoundError):
                about = path.lstat()
                if _last_use(about) <= oldest:
                    yield path, about


def _last_use(about: os.stat_result) -> float:
    """A file system may note at most once a day that a file is read, or not at all."""
    return max(about.st_atime, about.st_mtime)


def _remove_empty(root: Path) -> None:
    """Remove the folders that hold nothing any more."""
    for where, _, _ in os.walk(root, topdown=False):
        if Path(where) != root:
            with suppress(OSError):  # it is not empty
                Path(where).rmdir()
