"""Labelled examples: rows of the Parquet file, split by fold, with their sound."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from components.base import Cache, InputError, Location, Url, file_digest, object_state
from components.config import ProtocolSettings
from components.conversation import (
    DEFAULT_LABELS,
    FEEDBACK,
    Recording,
    Seconds,
    licence_of,
    read_audio,
    strictest_first,
)
from components.fusion import Clip

logger = logging.getLogger(__name__)

COLUMNS = ("recording", "fold", "start", "end", "text", "emotion", "asr_confidence")

HELD = 128 << 20
"""Bytes of sound that a process which reads its turns itself keeps decoded: about the first half
hour. A small corpus is decoded once, and a large one takes no more memory than that."""

SAMPLE = 20_000
"""Training examples that stand for all of a larger corpus where they are described (a probe, where
the head starts, the drift reference); they are fitted all."""


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled turn. `label` is its emotion's index in the profile's labels."""

    recording: str
    fold: str
    start: Seconds
    end: Seconds
    text: str
    label: int
    asr_confidence: float | None


@dataclass(frozen=True, slots=True)
class Split:
    """The examples to fit and those that choose the epoch; the test fold is in neither.

    Attributes:
        labels: the profile's, which rows name by their place in it.
    """

    training: tuple[Row, ...]
    validation: tuple[Row, ...]
    labels: tuple[str, ...] = DEFAULT_LABELS

    @property
    def rows(self) -> list[Row]:
        """The training examples, then the validation examples."""
        return [*self.training, *self.validation]

    @property
    def sample(self) -> "Split":
        """The same, with at most `SAMPLE` training examples, evenly drawn."""
        count = len(self.training)
        kept = min(count, SAMPLE)
        training = tuple(self.training[i * count // kept] for i in range(kept))
        return Split(training, self.validation, self.labels)


def read_rows(path: Path, labels: Sequence[str] = DEFAULT_LABELS) -> list[Row]:
    """Read the examples that have one of the labels.

    Raises:
        InputError: no such file, not Parquet, or a column is missing.
    """
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is not Parquet: {str(error).splitlines()[0]}") from None
    for column in COLUMNS:
        if column not in table.column_names:
            raise InputError(f"{path}: lacks the column {column}")
    return [
        Row(**{**row, "text": row["text"] or "", "label": labels.index(emotion)})
        for row in table.select(COLUMNS).to_pylist()
        if (emotion := row.pop("emotion")) in labels
    ]


def split_rows(
    rows: Sequence[Row],
    protocol: ProtocolSettings,
    labels: Sequence[str] = DEFAULT_LABELS,
) -> Split:
    """Split the rows into training and validation part; the test part is left out.

    Examples that cannot give a useful model are refused: a model never answers an emotion that the
    training folds lack, and the best answer to a validation part of one emotion is always that one.
    If a single fold lacks an emotion there is only a warning.

    Raises:
        InputError: one fold is both, a part is empty, the training folds lack an emotion, or the
            validation part has one only.
    """
    if protocol.test_fold is not None and protocol.test_fold == protocol.validation_fold:
        raise InputError(
            f"protocol: {protocol.test_fold} cannot be both the test and the validation fold"
        )
    parts: dict[str, list[Row]] = {"training": [], "validation": [], "test": [], "holdout": []}
    for row in rows:
        parts[protocol.part(row.recording, row.fold)].append(row)
    training, validation = tuple(parts["training"]), tuple(parts["validation"])
    if not validation:
        names = ", ".join(sorted({row.fold for row in rows})) or "none"
        raise InputError(
            f"protocol: the validation part ({protocol.validation}) has no examples; there are of"
            f" the folds {names}"
        )
    folds = sorted({row.fold for row in training})
    if not training:
        holdout = f" and the holdout ({protocol.holdout})" if protocol.holdout else ""
        raise InputError(
            f"protocol: beside the test ({protocol.test}) and validation parts"
            f" ({protocol.validation}){holdout} there is nothing to train on"
        )
    if lacking := _lacking(training, labels):
        raise InputError(
            f"examples: no {' or '.join(lacking)} in the training folds ({', '.join(folds)}):"
            " a model cannot learn what it never hears; choose other folds or add recordings"
        )
    if len({row.label for row in validation}) == 1:
        raise InputError(
            f"examples: the validation part ({protocol.validation}) has only"
            f" {labels[validation[0].label]}; it cannot choose a model; choose another"
        )
    checked = {f"fold {f}": [r for r in training if r.fold == f] for f in folds if f != FEEDBACK}
    for name, part in {**checked, f"validation ({protocol.validation})": validation}.items():
        if lacking := _lacking(part, labels):
            logger.warning("%s has no %s example", name, " and no ".join(lacking))
    return Split(training, validation, tuple(labels))


def _lacking(rows: Sequence[Row], labels: Sequence[str]) -> list[str]:
    """The emotions that none of the rows has."""
    return [emotion for emotion, count in count_emotions(rows, labels).items() if not count]


def count_emotions(rows: Sequence[Row], labels: Sequence[str]) -> dict[str, int]:
    """How many rows each emotion has."""
    counts = Counter(labels[row.label] for row in rows)
    return {emotion: counts[emotion] for emotion in labels}


class Origin(NamedTuple):
    """Where a recording is from, "unknown" where the manifest does not say."""

    licence: str
    set: str
    language: str


class Sound:
    """The sound of rows, read from the corpus as needed.

    Args:
        recordings: of the corpus; every row's must be among them.
        finished: keeps the digests of objects.

    Raises:
        InputError: a row of a recording that the corpus does not have.
    """

    def __init__(
        self, recordings: Sequence[Recording], rows: Sequence[Row], finished: Cache | None = None
    ) -> None:
        self._paths = {recording.name: recording.audio for recording in recordings}
        self._origins = {
            recording.name: Origin(
                licence_of(recording),
                recording.column("set") or "unknown",
                recording.column("language") or "unknown",
            )
            for recording in recordings
        }
        for row in rows:
            if row.recording not in self._paths:
                raise InputError(f"{row.recording}: has examples but is not in the corpus")
        self._digest = cache(partial(file_digest, cache=finished))
        self._before: dict[Location, object] = {}
        self._held: dict[tuple[str, Seconds, Seconds], np.ndarray] = {}
        self._room, self._holding = HELD, Lock()

    @property
    def place(self) -> str:
        """The folder that holds all recordings, where they have one in common."""
        return common_place([str(path) for path in self._paths.values()])

    def origins(self, rows: Sequence[Row]) -> dict[str, dict[str, int]]:
        """How many rows are of each licence (the strictest first), set and language."""
        licences, sets, languages = (
            Counter(values)
            for values in zip(*(self._origins[row.recording] for row in rows), strict=True)
        )
        return {
            "licences": {name: licences[name] for name in strictest_first(licences)},
            "sets": dict(sorted(sets.items())),
            "languages": dict(sorted(languages.items())),
        }

    def note(self, rows: Sequence[Row]) -> None:
        """Remember what the rows' recordings are: from now on one that is changed is refused."""
        for name in dict.fromkeys(row.recording for row in rows):
            self._before[self._paths[name]] = _state(self._paths[name])

    def clip(self, row: Row) -> Clip:
        """The row's waveform, float32 [samples] at 16 kHz, and its words; nobody changes either.

        Raises:
            InputError: the sound cannot be read, or is another one than was noted.
        """
        path = self._paths[row.recording]
        self._check(path)
        key = (row.recording, row.start, row.end)
        audio = self._held.get(key)
        if audio is None:
            audio = read_audio(path, row.start, row.end)
            with self._holding:
                # What a reading process holds is lost with it at the epoch's end.
                if (
                    key not in self._held
                    and audio.nbytes <= self._room
                    and not _reads_for_another()
                ):
                    self._held[key] = audio
                    self._room -= audio.nbytes
        return audio, row.text

    def _hold(self, key: tuple[str, Seconds, Seconds], audio: np.ndarray) -> None:
        with self._holding:
            if key not in self._held and audio.nbytes <= self._room:
                self._held[key] = audio
                self._room -= audio.nbytes

    def digest(self, row: Row) -> str:
        """The digest of the row's whole recording."""
        path = self._paths[row.recording]
        self._check(path)
        return self._digest(path)

    def digests(self, rows: Sequence[Row]) -> dict[str, str]:
        """The digest of each of the rows' recordings, by name."""
        first = {row.recording: row for row in rows}
        return {name: self.digest(first[name]) for name in sorted(first)}

    def _check(self, path: Location) -> None:
        before = self._before.get(path)
        if before is not None and before != _state(path):
            raise InputError(
                f"{path}: was changed or deleted while it is trained on; start again when the"
                " corpus is as it should be"
            )


def _reads_for_another() -> bool:
    """Whether this is a process that only reads, for the one that trains."""
    from torch.utils.data import get_worker_info

    return get_worker_info() is not None


def _state(path: Location) -> object:
    """What tells whether a file is another one; None where there is none."""
    if isinstance(path, Url):
        return object_state(path)
    with suppress(FileNotFoundError):
        state = Path(path).stat()
        return state.st_size, state.st_mtime_ns
    return None


def common_place(files: Sequence[str]) -> str:
    """The folder that holds all files, as far as they are of one kind; of others that of the first.

    >>> common_place(["s3://calls/a/1.wav", "s3://calls/b/2.wav"])
    's3://calls'
    """
    parents = [file.rpartition("/")[0] for file in files]
    try:
        common = os.path.commonpath(parents)
    except ValueError:  # absolute and not
        return parents[0] if parents else ""
    if common in ("", "s3:"):
        return parents[0]
    return common.replace("s3:/", "s3://", 1) if common.startswith("s3:/") else common
