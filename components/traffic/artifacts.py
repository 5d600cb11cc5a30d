"""What a cluster's pipelines left of recordings from traffic in the object store, and how it goes.

Kubeflow Pipelines keeps all that steps hand on below one root: manifests with labels, words,
turns, examples. Sound is not among it: a manifest names where the log keeps that. Beside the
manifest of a corpus that feedback has joined lies who it came from (`SOURCES`).

A run may go on while a recording is erased, and no lock reaches its pods. So what is erased is
noted below the root, and left out again for two days of whatever still comes.
"""

import json
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from components.base import MissingError, Url, json_digest, located
from components.conversation import SOURCES, Seconds
from components.conversation.manifest import NAME as MANIFEST
from components.traffic.rewriting import PARQUET, rewrite

ERASED = "moodline-erased"
"""The folder below the root with the names that were erased, a file each."""

LATE: Seconds = 2 * 86_400.0
"""No run goes on for so long after it has read its corpus."""

_DAY: Seconds = 86_400.0


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The artifacts below a root in an object store."""

    root: Url

    def erase(self, names: Collection[str], recordings: Collection[str]) -> int:
        """Leave recordings out of every artifact; how many were changed.

        Args:
            names: that they may have in a corpus.
            recordings: as they stand in the log.

        Raises:
            Unavailable: the object store does not answer; ask again.
        """
        known = {
            name
            for sources in self._sources()
            for name, source in sources.items()
            if source["recording"] in recordings
        }
        return self._erase({*names, *known})

    def sweep(self, content_days: float) -> int:
        """Leave out what is older than that, and what was erased and has come again.

        Returns:
            How many artifacts were changed.

        Raises:
            Unavailable: the object store does not answer.
        """
        oldest, late = time.time() - content_days * _DAY, set()
        for mark in (self.root / ERASED).files():
            with suppress(MissingError):
                erased = json.loads(mark.read_bytes())
                if erased["time"] > time.time() - LATE:
                    late.add(erased["name"])
                else:
                    mark.delete()
        old = {
            name
            for sources in self._sources()
            for name, source in sources.items()
            if "time" in source and datetime.fromisoformat(source["time"]).timestamp() < oldest
        }
        return self._erase(old) + self._leave_out(late - old)

    def _erase(self, names: Collection[str]) -> int:
        for name in names:
            mark = json.dumps({"name": name, "time": time.time()})
            (self.root / ERASED / json_digest(name)).put_bytes(mark.encode())
        return self._leave_out(names)

    def _leave_out(self, names: Collection[str]) -> int:
        changed = 0
        for url, state in self.root.all_states() if names else ():
            with suppress(MissingError):  # it has expired meanwhile
                if url.name in (MANIFEST, SOURCES) or (
                    state.size > len(PARQUET) and url.first_bytes(len(PARQUET)) == PARQUET
                ):
                    changed += _rewritten(url, names)
        return changed

    def _sources(self) -> Iterator[Mapping[str, Any]]:
        for url in self.root.all_files():
            if url.name == SOURCES:
                with suppress(MissingError):
                    yield json.loads(url.read_bytes())


def _rewritten(url: Url, names: Collection[str]) -> bool:
    with tempfile.TemporaryDirectory(prefix="moodline-artifact-") as folder:
        path = Path(folder, url.name)
        with path.open("wb") as file:
            url.fetch(file)
        if not rewrite(path, names):
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
