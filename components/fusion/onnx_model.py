"""The exported model under onnxruntime: numpy and onnxruntime only, so that Triton can use it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

INPUTS = ("audio", "audio_lengths", "input_ids", "text_lengths")
OUTPUTS = ("probabilities", "embedding")


class OnnxModel:
    """A model's ONNX graph, run on the CPU (or a GPU, where onnxruntime has one).

    Args:
        path: the `model.onnx`.
        threads: of one run; 0 takes all cores.
        arena: keep the memory of the longest batch ever seen for the next one, which saves a fifth
            of the time where batches are long.

    Raises:
        ValueError: it is no graph, or not a Moodline model's.

    Attributes:
        labels: the emotions it tells apart, in the order of its probabilities.
        max_samples, max_tokens: the longest clip and text (with special tokens) the graph takes.
        hidden_size: d, the width of the embedding.
    """

    def __init__(self, path: Path | str, threads: int = 0, *, arena: bool = False) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait by spinning take the cores from everyone else; it gained nothing.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = arena
        try:
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=onnxruntime.get_available_providers()
            )
            facts = self.session.get_modelmeta().custom_metadata_map
            self.labels: tuple[str, ...] = tuple(facts["emotions"].split(","))
            self.max_samples = int(facts["max_samples"])
            self.max_tokens = int(facts["max_tokens"])
            self.hidden_size = int(facts["hidden_size"])
        # onnxruntime has an exception of its own for each fault, and no common one.
        except Exception as error:
            raise ValueError(f"{path}: is not the graph of a Moodline model") from error

    @property
    def emotions(self) -> tuple[str, ...]:
        """The labels, for the code that MLflow keeps with versions of before."""
        return self.labels

    def run(
        self, audio: Sequence[np.ndarray], input_ids: Sequence[Sequence[int]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Answer for a batch of clips of any lengths.

        Args:
            audio: float32 [samples] each, mono at 16 kHz, at least one sample, at most
                `max_samples`.
            input_ids: each clip's token ids with special tokens, at most `max_tokens`.

        Returns:
            Probabilities [n, k] and embeddings [n, d], float32.
        """
        arrays = (*pad(audio, np.float32), *pad(input_ids, np.int64))
        probabilities, embedding = self.session.run(OUTPUTS, dict(zip(INPUTS, arrays, strict=True)))
        return probabilities, embedding


def pad(rows: Sequence, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows of any lengths, [t] or [t, d] → [n, longest(, d)] ended by zeros, and lengths [n]."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    width = np.shape(rows[0])[1:]
    padded: np.ndarray = np.zeros((len(rows), max(int(lengths.max()), 1), *width), dtype=dtype)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return padded, lengths
