"""What a version's examples looked like to it: what later traffic is compared with."""

from pathlib import Path
from typing import TYPE_CHECKING

from components.conversation import EMOTIONS
from components.fusion import MoodlineModel, predict, turn_measures
from components.train.data import Sound, Split

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def write_drift_reference(
    model: MoodlineModel, tokenizer: "Tokenizer", split: Split, sound: Sound, path: Path
) -> None:
    """Write one row an example, as Parquet.

    Columns: `part` ("training" or "validation": the model is surer of what it was fitted to, so
    confidence is to be compared with the validation part), `recording`, `label`, `emotion` (the
    answer), `confidence`, `probabilities` (list of 4), `embedding` (list of d), the measures of
    `components.fusion.turn_measures` and `asr_confidence` (null where not known).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [("training", row) for row in split.training]
    rows += [("validation", row) for row in split.validation]
    clips = [sound.clip(row) for _, row in rows]
    # One at a time: what is written must not depend on the batches.
    probabilities, embeddings = predict(model, clips, batch_size=1, tokenizer=tokenizer)
    measures = [turn_measures(audio, text) for audio, text in clips]
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
