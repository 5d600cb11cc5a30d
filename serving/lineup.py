"""Which model versions are served: a small file that one process writes and the services follow.

Triton may hold several versions at once. The file names the one that takes the traffic, those on
trial beside it, and for each what is needed on this side of Triton: its tokenizer and its limits.
It changes in one step, so a request sees either the old version with the old tokenizer or the new
with the new.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.base import InputError, atomic_path
from serving.triton.repository import graph_facts

if TYPE_CHECKING:
    from tokenizers import Tokenizer


ROLES = ("production", "staging", "candidate")


@dataclass(frozen=True, slots=True)
class Served:
    """A served version.

    Attributes:
        version: the registry's number, and Triton's.
        folder: the model version's folder.
        digest: of the folder, as it was registered; empty for one that came from no registry.
        verdict: of its gate, likewise.
    """

    version: int
    folder: Path
    digest: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Lineup:
    """The versions that are served together, each by its role, which is its alias.

    Attributes:
        production: answers.
        staging: answers a share, on trial.
        candidate: is asked a share, and never answers anybody.
        refused: versions that failed their check and so take no traffic, each with the reason.
        revivals: how often Triton or a model's process was brought back.
    """

    production: Served
    staging: Served | None = None
    candidate: Served | None = None
    refused: Mapping[int, str] = field(default_factory=dict)
    revivals: int = 0

    def versions(self) -> dict[int, Served]:
        """All of them by number."""
        known = (self.production, self.staging, self.candidate)
        return {served.version: served for served in known if served}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """What is needed to ask for a version's answers."""

    served: Served
    tokenizer: "Tokenizer"
    max_samples: int
    max_tokens: int

    @property
    def version(self) -> int:
        """The registry's number, and Triton's."""
        return self.served.version


@dataclass(frozen=True, slots=True)
class LoadedLineup:
    """As `Lineup`, ready to be asked."""

    production: LoadedModel
    staging: LoadedModel | None = None
    candidate: LoadedModel | None = None
    refused: Mapping[int, str] = field(default_factory=dict)
    revivals: int = 0


def write_pointer(path: Path, lineup: Lineup) -> None:
    """Say that these versions are served from now on.

    Raises:
        InputError: a version's folder is incomplete.
    """
    entries: dict[str, Any] = {
        role: None if served is None else _entry(served)
        for role, served in zip(
            ROLES, (lineup.production, lineup.staging, lineup.candidate), strict=True
        )
    }
    entries |= {"refused": lineup.refused, "revivals": lineup.revivals}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(entries, indent=2), encoding="utf-8")


def _entry(served: Served) -> dict[str, Any]:
    # The limits stand in the graph, which may be large: it is read here once, not by each service.
    facts = graph_facts(served.folder / "model.onnx")
    return {
        "version": served.version,
        "folder": str(served.folder.resolve()),
        "digest": served.digest,
        "verdict": served.verdict,
        "max_samples": int(facts["max_samples"]),
        "max_tokens": int(facts["max_tokens"]),
    }


def read_pointer(path: Path) -> Lineup:
    """The versions that are served.

    Raises:
        InputError: none is, or the file is broken.
    """
    entries = _entries(path)
    roles = {role: _served(entries[role]) for role in ROLES if entries[role]}
    return Lineup(**roles, refused=entries["refused"], revivals=entries["revivals"])


def load_pointer(path: Path, known: LoadedLineup | None = None) -> LoadedLineup:
    """The versions that are served, with their tokenizers.

    Args:
        path: the pointer.
        known: what was loaded before; what has not changed is taken from it.

    Raises:
        InputError: none is served, the file is broken, or a version has no tokenizer.
    """
    before = (known.production, known.staging, known.candidate) if known else ()
    had = {model.served: model for model in before if model}
    entries = _entries(path)
    loaded = {}
    for role in ROLES:
        if entry := entries[role]:
            served = _served(entry)
            loaded[role] = had.get(served) or _load(served, entry)
    return LoadedLineup(**loaded, refused=entries["refused"], revivals=entries["revivals"])


def _entries(path: Path) -> dict[str, Any]:
    try:
        entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _served(entries["production"])
        entries["refused"] = {int(version): why for version, why in entries["refused"].items()}
        return {name: entries[name] for name in (*ROLES, "refused", "revivals")}
    except FileNotFoundError:
        raise InputError("no model version is served; promote one and run moodline serve") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path.name} does not say which version is served: {error}") from None


def _served(entry: dict[str, Any]) -> Served:
    return Served(
        int(entry["version"]), Path(entry["folder"]), str(entry["digest"]), str(entry["verdict"])
    )


def _load(served: Served, entry: dict[str, Any]) -> LoadedModel:
    from components.fusion import load_tokenizer

    return LoadedModel(
        served,
        load_tokenizer(served.folder),
        int(entry["max_samples"]),
        int(entry["max_tokens"]),
    )


class CurrentModels:
    """The served versions, loaded; loaded anew when the pointer changes. Safe to share by threads.

    Args:
        pointer: the file that names the versions.
    """

    def __init__(self, pointer: Path) -> None:
        self.pointer = pointer
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._loaded: LoadedLineup | None = None

    def get(self) -> LoadedLineup:
        """The versions that are served now.

        Raises:
            InputError: none is served, or a version's folder is incomplete.
        """
        with self._lock:
            try:
                stat = self.pointer.stat()
                seen = (stat.st_mtime_ns, stat.st_ino)
            except FileNotFoundError:
                seen = None
            if self._loaded is None or seen != self._seen:
                self._loaded = load_pointer(self.pointer, self._loaded)
                self._seen = seen
            return self._loaded
