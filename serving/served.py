"""Which model version is served: a small file that one process writes and the services follow.

Triton may hold several versions at once. The file names the one that takes the traffic and the
folder with what is needed on this side of Triton: its tokenizer and its limits. It changes in one
step, so a request sees either the old version with the old tokenizer or the new with the new.
"""

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.conversation import InputError, atomic_path

if TYPE_CHECKING:
    from tokenizers import Tokenizer


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


def write_pointer(path: Path, served: Served) -> None:
    """Say that this version is served from now on."""
    with atomic_path(path) as temporary:
        entry = asdict(served) | {"folder": str(served.folder.resolve())}
        temporary.write_text(json.dumps(entry), encoding="utf-8")


def read_pointer(path: Path) -> Served:
    """The version that is served.

    Raises:
        InputError: none is, or the file is broken.
    """
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        return Served(
            int(entry["version"]), Path(entry["folder"]), entry["digest"], entry["verdict"]
        )
    except FileNotFoundError:
        raise InputError("no model version is served; promote one and run moodline serve") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path.name} does not say which version is served: {error}") from None


def load_model(served: Served) -> LoadedModel:
    """Load a version's tokenizer and limits.

    Raises:
        InputError: its folder is incomplete.
    """
    from components.fusion import load_tokenizer

    facts = _graph_facts(served.folder / "model.onnx")
    return LoadedModel(
        served,
        load_tokenizer(served.folder),
        int(facts["max_samples"]),
        int(facts["max_tokens"]),
    )


def _graph_facts(path: Path) -> dict[str, Any]:
    """The facts that the export wrote into the ONNX graph."""
    import onnx

    if not path.is_file():
        raise InputError(f"the served version holds no {path.name}")
    model = onnx.load(path, load_external_data=False)
    return {entry.key: entry.value for entry in model.metadata_props}


class CurrentModel:
    """The served version, loaded; loaded anew when the pointer changes. Safe to share by threads.

    Args:
        pointer: the file that names the version.
    """

    def __init__(self, pointer: Path) -> None:
        self.pointer = pointer
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._loaded: LoadedModel | None = None

    def get(self) -> LoadedModel:
        """The version that takes the traffic now.

        Raises:
            InputError: none is served, or its folder is incomplete.
        """
        with self._lock:
            try:
                stat = self.pointer.stat()
                seen = (stat.st_mtime_ns, stat.st_ino)
            except FileNotFoundError:
                seen = None
            if self._loaded is None or seen != self._seen:
                self._loaded = load_model(read_pointer(self.pointer))
                self._seen = seen
            return self._loaded
