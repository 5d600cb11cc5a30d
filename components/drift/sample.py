"""What is compared: turns by recording, from the version's reference and from the log."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from components.base import InputError
from components.config import version_labels
from components.conversation import DEFAULT_LABELS
from components.traffic import MEASURES

if TYPE_CHECKING:
    import pyarrow as pa

NUMBERS = ("confidence", *MEASURES, "asr_confidence")
"""The features that are one number a turn."""

ANSWERS = ("emotion", "confidence", "embedding")
"""The features that the model gives. It is surer of what it was fitted to, so the reference's
validation part alone tells what they are like on conversations that it has not seen."""

FEATURES = ("emotion", *NUMBERS, "embedding")

REFERENCE = "drift_reference.parquet"
"""The file of a model version that `components.train` writes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Turns.

    Attributes:
        recordings: [n], each turn's recording.
        features: each of `FEATURES` that is known: emotion [n, k] as probabilities in the order of
            `labels`, numbers [n] with NaN where a turn has none, embedding [n, d].
        labels: the emotions that were told apart, k of them.
    """

    recordings: np.ndarray
    features: dict[str, np.ndarray]
    labels: tuple[str, ...] = DEFAULT_LABELS

    def __len__(self) -> int:
        return len(self.recordings)

    @property
    def recording_count(self) -> int:
        """How many recordings the turns are of."""
        return len({*self.recordings})

    def where(self, chosen: np.ndarray) -> "Sample":
        """The chosen turns: [n] of bool, or indices."""
        features = {name: values[chosen] for name, values in self.features.items()}
        return Sample(self.recordings[chosen], features, self.labels)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a version's own examples looked like: `validation` is the part that chose it."""

    every: Sample
    validation: Sample

    def of(self, feature: str) -> Sample:
        """What a feature is compared with."""
        return self.validation if feature in ANSWERS else self.every


def to_sample(table: "pa.Table", labels: tuple[str, ...]) -> tuple[Sample, int]:
    """Rows of the log, or of a reference, as a sample; rows without a turn are left out.

    Args:
        labels: of the version; a reference, which has its labels only, does not name any.

    Returns:
        The turns whose answers tell these labels apart, in whatever order, and how many others
        there are, by versions with other labels.
    """
    import pyarrow.compute as pc

    table = table.filter(pc.is_valid(pc.field("emotion")))
    answered = len(table)
    if "labels" not in table.column_names:
        table = table.append_column("labels", [[list(labels)] * answered])
    orders = np.array([",".join(names) for names in table["labels"].to_pylist()], dtype=object)
    same = np.array([{*order.split(",")} == {*labels} for order in orders], dtype=bool)
    table, orders = table.filter(same), orders[same]
    probabilities = _vectors(table["probabilities"]).reshape(len(table), len(labels)).copy()
    for order in {*orders} - {",".join(labels)}:
        names, turns = order.split(","), orders == order
        probabilities[turns] = probabilities[turns][:, [names.index(label) for label in labels]]
    features = {name: table[name].cast("float64").to_numpy() for name in NUMBERS}
    features["emotion"] = probabilities
    if not table["embedding"].null_count and len(table):
        features["embedding"] = _vectors(table["embedding"]).reshape(len(table), -1)
    recordings = np.array(table["recording"].to_pylist(), dtype=object)
    return Sample(recordings, features, labels), answered - len(table)


def _vectors(column: "pa.ChunkedArray") -> np.ndarray:
    """All numbers of a column of lists, one after the other."""
    flat: np.ndarray = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat


def read_reference(model: Path) -> Reference:
    """Read the reference of a model version from its folder.

    Raises:
        InputError: it has none, or one that is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(model) / REFERENCE
    try:
        table = pq.ParquetFile(path).read()
        every, _ = to_sample(table, version_labels(Path(model)))
        part = np.array(table["part"].to_pylist(), dtype=object)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the version has no drift reference") from None
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{path}: is not a drift reference: {str(error).splitlines()[0]}"
        ) from None
    return Reference(every, every.where(part == "validation"))
