"""The contract between the two processes: which versions are served, and which canary was halted.

The supervisor writes the pointer, a small JSON file, and the API process follows it. Triton may
hold several versions at once. The pointer names the version that answers, the versions on trial
beside it, and what the API process needs of each: its tokenizer and its limits. The pointer is
replaced in one step, so a request sees either the old version with the old tokenizer or the new
version with the new one.

The API process writes the halt file when a canary does badly, and the supervisor reads it.
"""

import contextlib
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from components.base import InputError, atomic_path
from components.config import VersionSpeech, version_answers, version_speech
from components.conversation import DEFAULT_LABELS
from serving.triton.repository import graph_facts, labels_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NO_VERSION = "no version is in production yet; promote one"

Role = Literal["production", "staging", "candidate"]
ROLES: tuple[Role, ...] = get_args(Role)
"""`production` answers, `staging` answers a share of the requests, and `candidate` is asked a share
without answering anybody."""


@dataclass(frozen=True, slots=True)
class Served:
    """A served version.

    Attributes:
        version: the registry's number, and Triton's.
        folder: the model version's folder.
        digest: of the folder, as it was registered; empty for a version from no registry.
        verdict: of its gate, likewise.
        signature: of model and verdict, likewise.
    """

    version: int
    folder: Path
    digest: str = ""
    verdict: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedLimits(Served):
    """A served version as the pointer names it, with the limits of one clip and its labels.

    They stand in the graph, which may be large: the writer reads it once for all services.

    Attributes:
        max_samples: at 16 kHz.
        max_tokens: of its words.
        labels: the emotions it tells apart, in its order. Pointers of before name none.
    """

    max_samples: int
    max_tokens: int
    labels: tuple[str, ...] = DEFAULT_LABELS


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(ServedLimits):
    """A served version with what it takes to ask it.

    Attributes:
        speech: what its clips have to be cut by.
        uncertain_below: an answer with a lower confidence is uncertain.
    """

    tokenizer: "Tokenizer" = field(compare=False)
    speech: VersionSpeech = field(compare=False)
    uncertain_below: float = field(default=0.0, compare=False)


S = TypeVar("S", bound=Served)


@dataclass(frozen=True, slots=True)
class Lineup(Generic[S]):
    """The versions that are served together.

    Attributes:
        roles: the version in each role; there is always one in production.
        refused: versions that failed their check and so take no traffic, each with the reason.
        revivals: how often a Triton was brought back.
    """

    roles: Mapping[Role, S]
    refused: Mapping[int, str] = field(default_factory=dict)
    revivals: int = 0

    @property
    def production(self) -> S:
        """The version that answers."""
        return self.roles["production"]

    @property
    def staging(self) -> S | None:
        """The version that answers a share, on trial."""
        return self.roles.get("staging")

    @property
    def candidate(self) -> S | None:
        """The version that is asked a share and answers nobody."""
        return self.roles.get("candidate")

    def versions(self) -> dict[int, S]:
        """All versions by number."""
        return {served.version: served for served in self.roles.values()}


class _Pointer(BaseModel):
    production: ServedLimits
    staging: ServedLimits | None = None
    candidate: ServedLimits | None = None
    refused: dict[int, str]
    revivals: int

    def roles(self) -> dict[Role, ServedLimits]:
        return {role: entry for role in ROLES if (entry := getattr(self, role))}


def write_pointer(path: Path, lineup: Lineup[Served]) -> None:
    """Say that these versions are served from now on.

    Raises:
        InputError: a version's folder is incomplete.
    """
    text = pointer_text(lineup)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def pointer_text(lineup: Lineup[Served]) -> str:
    """What the pointer says of these versions.

    Raises:
        InputError: a version's folder is incomplete.
    """
    roles = {role: _with_limits(served) for role, served in lineup.roles.items()}
    refused, revivals = dict(lineup.refused), lineup.revivals
    pointer = _Pointer.model_validate({**roles, "refused": refused, "revivals": revivals})
    return pointer.model_dump_json(indent=2)


def _with_limits(served: Served) -> ServedLimits:
    facts = graph_facts(served.folder / "model.onnx")
    limits = {name: int(facts[name]) for name in ("max_samples", "max_tokens")}
    entry: dict[str, Any] = {**asdict(served), "folder": served.folder.resolve(), **limits}
    return ServedLimits(**entry, labels=labels_of(facts))


def read_pointer(path: Path) -> Lineup[Served]:
    """The versions that are served.

    Raises:
        InputError: none is served, or the file is broken.
    """
    return _lineup(_read(path))


def parse_pointer(text: bytes, name: str) -> Lineup[Served]:
    """The versions that a pointer's text names.

    Raises:
        InputError: it is broken.
    """
    return _lineup(_parse(text, name))


def _lineup(pointer: _Pointer) -> Lineup[Served]:
    roles = {
        role: Served(**{f.name: getattr(served, f.name) for f in fields(Served)})
        for role, served in pointer.roles().items()
    }
    return Lineup(roles, pointer.refused, pointer.revivals)


def _read(path: Path) -> _Pointer:
    try:
        return _parse(path.read_bytes(), path.name)
    except FileNotFoundError:
        raise InputError(NO_VERSION) from None


def _parse(text: bytes, name: str) -> _Pointer:
    try:
        return _Pointer.model_validate_json(text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise InputError(f"{name} does not say which version is served: {reason}") from None


def versions_in_pointers(folder: Path) -> set[int]:
    """The versions that any service with its pointer in this folder serves, or served last."""
    versions: set[int] = set()
    for path in folder.glob("served*.json"):
        with contextlib.suppress(InputError):  # a halt file lies there, too
            versions |= set(read_pointer(path).versions())
    return versions


class CurrentLineup:
    """The served versions, ready to be asked. Loaded anew when the pointer changes, and safe to
    share between threads.

    Args:
        pointer: the file that says which are served.
        profile: that the operator gave for the speech models, as `version_speech` takes it.
    """

    def __init__(self, pointer: Path, profile: str = "") -> None:
        self.pointer = pointer
        self._profile = profile
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._lineup: Lineup[Loaded] | None = None
        self._loaded: dict[ServedLimits, Loaded] = {}

    def get(self) -> Lineup[Loaded]:
        """The versions that are served now.

        Raises:
            InputError: none is served, a version's folder is incomplete, or it was made with other
                speech models than the operator's profile names.
        """
        with self._lock:
            try:
                stat = self.pointer.stat()
                seen = (stat.st_mtime_ns, stat.st_ino)
            except FileNotFoundError:
                seen = None
            if self._lineup is None or seen != self._seen:
                self._lineup = self._load()
                self._seen = seen
            return self._lineup

    def _load(self) -> Lineup[Loaded]:
        from components.fusion import load_tokenizer

        pointer = _read(self.pointer)
        self._loaded = {
            served: self._loaded.get(served)
            or Loaded(
                **asdict(served),
                tokenizer=load_tokenizer(served.folder),
                speech=version_speech(served.folder, self._profile),
                uncertain_below=version_answers(served.folder).uncertain_below,
            )
            for served in pointer.roles().values()
        }
        roles = {role: self._loaded[served] for role, served in pointer.roles().items()}
        return Lineup(roles, pointer.refused, pointer.revivals)


@dataclass(frozen=True, slots=True)
class Halt:
    """A canary, by the registry's number, was halted for a reason in words for a person."""

    version: int
    reason: str


def halt_path(pointer: Path) -> Path:
    """The file beside the pointer by which one process tells all others that a canary is halted."""
    return pointer.with_name(f"{pointer.stem}.halt.json")


def read_halt(path: Path) -> Halt | None:
    """The last canary that was halted, if one was."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Halt(int(entry["version"]), str(entry["reason"]))


def write_halt(path: Path, halt: Halt) -> None:
    """Halt a canary in every process."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(asdict(halt)), encoding="utf-8")
