"""What a version's examples looked like to it: what later traffic is compared with."""

from pathlib import Path

import numpy as np

from components.conversation import EMOTIONS
from components.fusion import turn_measures
from components.train.data import Sound, Split


def write_drift_reference(answers: np.ndarray, split: Split, sound: Sound, path: Path) -> None:
    """Write one row an example, as Parquet.

    Columns: `part` ("training" or "validation": the model is surer of what it was fitted to, so
    confidence is to be compared with the validation part), `recording`, `label`, `emotion` (the
    answer), `confidence`, `probabilities` (list of 4), `embedding` (list of d), the measures of
    `components.fusion.turn_measures` and `asr_confidence` (null where not known).

    Args:
        answers: [n, 4 + d], the probabilities and embedding of each training, then each
            validation example.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [("training", row) for row in split.training]
    rows += [("validation", row) for row in split.validation]
    probabilities, embeddings = answers[:, :4], answers[:, 4:]
    measures = [turn_measures(*sound.clip(row)) for _, row in rows]
    columns = {
        "part": [part for part, _ in rows],
        "recording": [row.recording for _, row in rows],
        "label": [EMOTIONS[row.label] for _, row in rows],
        "emotion": [EMOTIONS[i] for i in probabilities.argmax(axis=1)],
        "confidence": pa.array(probabilities.max(axis=1), pa.float32()),
        "probabilities": pa.array(probabilities.tolist(), pa.list_(pa.float32())),
        "embedding": pa.array(embeddings.tolist(), pa.list_(pa.float32())),
        **{name: pa.array([m[name] for m in measures], pa.float32()) for name in measures[0]},
        "asr_confidence": pa.array([row.asr_confidence for _, row in rows], pa.float32()),
    }
    pq.write_table(pa.table(columns), path)
