"""What a cluster's pipelines left of recordings from traffic in the object store, and how it goes.

Kubeflow Pipelines keeps all that steps hand on below one root: manifests with labels, words,
turns, examples. Sound is not among it: a manifest names where the log keeps that. Beside the
manifest of a corpus that feedback has joined lies who it came from (`SOURCES`).

A run may go on while a recording is erased, and no lock reaches its pods. So what is erased is
noted below the root, and left out again of whatever still comes, for weeks.

Other teams' files lie below the same root. Each object is taken by itself: one that is not ours is
passed over, and one that cannot be read now keeps no other from being looked at.
"""

import json
import logging
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.base import Url, json_digest, located
from components.base.storage import State
from components.conversation import SOURCES, Seconds
from components.conversation.manifest import NAME as MANIFEST
from components.traffic.one_by_one import OneByOne
from components.traffic.rewriting import PARQUET, older, read_sources, rewrite

logger = logging.getLogger(__name__)

ERASED = "moodline-erased"
"""The folder below the root with the names that were erased, a file each."""

_DAY: Seconds = 86_400.0

LATE: Seconds = 21 * _DAY
"""So long at least a name stays noted: a step may take 7 days, and be started three times."""


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The artifacts below a root in an object store."""

    root: Url
    _searched: dict[str, frozenset[str] | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """The names that an object, as it is, was searched for; None where it lists no recordings."""

    def note(self, names: Collection[str]) -> None:
        """Note names as erased: from now on each sweep leaves them out, whatever fails.

        Raises:
            InputError, Unavailable: the object store does not take it; ask again.
        """
        for name in names:
            mark = json.dumps({"name": name, "time": time.time()})
            (self.root / ERASED / json_digest(name)).put_bytes(mark.encode())

    def erase(self, names: Collection[str], recordings: Collection[str]) -> int:
        """Leave recordings out of every artifact; how many were changed.

        Args:
            names: that they may have in a corpus.
            recordings: as they stand in the log.

        Raises:
            InputError, Unavailable: some artifacts cannot be read or written now, or none. What
                can be is done; the others are done by a sweep.
        """
        self.note(names)
        states, objects = self._states(), OneByOne(self.root)
        known = {
            name
            for sources in self._sources(states, objects)
            for name, source in sources.items()
            if source["recording"] in recordings
        }
        self.note(known.difference(names))
        changed = self._leave_out({*names, *known}, states, objects)
        objects.tell()
        return changed

    def sweep(self, content_days: float) -> int:
        """Leave out what is older than that, and what was erased and has come again.

        Returns:
            How many artifacts were changed.

        Raises:
            InputError, Unavailable: as of `erase`.
        """
        now, objects = time.time(), OneByOne(self.root)
        states = self._states()
        oldest_mark = now - max(LATE, content_days * _DAY)
        marks = (self.root / ERASED).files()
        late = {*objects.each(lambda mark: _noted(mark, oldest_mark), marks)} - {""}
        oldest = now - content_days * _DAY
        old = {n for sources in self._sources(states, objects) for n in older(sources, oldest)}
        self.note(old)
        changed = self._leave_out(late | old, states, objects)
        objects.tell()
        return changed

    def _states(self) -> list[tuple[Url, State]]:
        """What lies below the root, without the marks."""
        found = self.root.all_states()
        return [(url, state) for url, state in found if url.parts_below(self.root)[0] != ERASED]

    def _sources(
        self, states: Sequence[tuple[Url, State]], objects: OneByOne
    ) -> list[dict[str, Mapping[str, Any]]]:
        urls = [url for url, _ in states if url.name == SOURCES]
        return objects.each(lambda url: read_sources(url.read_bytes(), url), urls)

    def _leave_out(
        self, names: Collection[str], states: Sequence[tuple[Url, State]], objects: OneByOne
    ) -> int:
        wanted = frozenset(names)
        by_key = {f"{url.key} {state.tag}": (url, state) for url, state in states}
        for gone in self._searched.keys() - by_key.keys():
            self._searched.pop(gone, None)

        def leave_out(key: str) -> bool:
            url, state = by_key[key]
            if not _lists_recordings(url, state):
                self._searched[key] = None
            elif _rewritten(url, wanted):
                return True
            else:
                self._searched[key] = wanted | (self._searched.get(key) or frozenset())
            return False

        due = []
        for key in by_key if names else ():
            known = self._searched.get(key, frozenset())
            if known is not None and not wanted <= known:
                due.append(key)
        return sum(objects.each(leave_out, due))


def _lists_recordings(url: Url, state: State) -> bool:
    """Whether it may be a list of recordings, by its name or by how it begins."""
    if url.name in (MANIFEST, SOURCES):
        return True
    return state.size > len(PARQUET) and url.first_bytes(len(PARQUET)) == PARQUET


def _noted(mark: Url, oldest: float) -> str:
    """The name that a mark notes; empty once the mark has grown old, or where it is not ours."""
    content = mark.read_bytes()
    try:
        noted = json.loads(content)
        name, noted_at = str(noted["name"]), float(noted["time"])
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        logger.warning("%s: is passed over, as it is no mark of ours: %r", mark, error)
        return ""
    if noted_at > oldest:
        return name
    mark.delete()
    return ""


def _rewritten(url: Url, names: Collection[str]) -> bool:
    with tempfile.TemporaryDirectory(prefix="moodline-artifact-") as folder:
        path = Path(folder, url.name)
        with path.open("wb") as file:
            url.fetch(file)
        if not rewrite(path, names, url):
            return False
        url.put(path)
    return True


def artifacts_of(root: str) -> Artifacts | None:
    """The artifacts below a root, as `Settings.pipeline_root` names it; None where it names none.

    Raises:
        InputError: it is no URL of an object store.
    """
    place = located(root) if root else None
    return Artifacts(place) if isinstance(place, Url) else None
