"""Answers for many clips: windows, sorted by length, in batches, averaged back."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.base import InputError
from components.conversation import SAMPLE_RATE
from components.fusion.onnx_model import OnnxModel, pad
from components.fusion.tokens import load_tokenizer
from components.fusion.windows import Clip, Window, average_windows, clip_windows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from components.fusion.model import MoodlineModel

BATCH_SECONDS = 120.0
"""The most sound in one batch, padding included: it bounds the memory."""

LIKE = 0.9
"""The shortest in a batch, as a share of the longest: the rest would be padding."""


def predict(
    model: "MoodlineModel | OnnxModel | Path | str",
    clips: Sequence[Clip],
    *,
    batch_size: int | None = None,
    tokenizer: "Tokenizer | None" = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Classify turns.

    Clips longer than the model takes are cut into windows, whose answers are averaged by duration.

    Args:
        model: a loaded model, or a version's folder (see `open_version`).
        clips: each turn's waveform (mono, 16 kHz) and words.
        batch_size: windows at once, at most; by default 8 on a GPU and 1 on a CPU, which is as
            quick with one, has nothing to pad and needs the least memory.
        tokenizer: of the model; by default that of the folder the model was loaded from.
        progress: called with the number of windows done and their total.

    Returns:
        Probabilities [n, 4] in the order of `EMOTIONS` and embeddings [n, d].

    Raises:
        InputError: a clip that is not one channel of numbers, or a folder without a model.
    """
    if isinstance(model, (str, Path)):
        folder = Path(model)
        model = open_version(folder)
        tokenizer = tokenizer or load_tokenizer(folder)
    limits = model if isinstance(model, OnnxModel) else model.config
    if tokenizer is None:
        if isinstance(model, OnnxModel):
            raise ValueError("predict with an OnnxModel needs its tokenizer")
        tokenizer = load_tokenizer(Path(str(model.config.name_or_path)))
    if batch_size is None:
        batch_size = 1 if isinstance(model, OnnxModel) or model.device.type == "cpu" else 8
    windows = clip_windows(clips, tokenizer, limits.max_samples, limits.max_tokens)
    answers = np.zeros((len(windows), 4 + limits.hidden_size))
    done = 0
    for batch in batches(windows, batch_size):
        chosen = [windows[i] for i in batch]
        answers[batch] = answer_batch(model, chosen)
        done += len(batch)
        if progress:
            progress(done, len(windows))
    table = average_windows(windows, answers, len(clips))
    return table[:, :4], table[:, 4:]


def open_version(folder: Path) -> "MoodlineModel | OnnxModel":
    """A version in the form that answers fastest here: torch on a GPU, else its ONNX graph.

    Raises:
        InputError: a folder without a model, or with another kind of model.
    """
    import torch

    from components.fusion.model import check_kind, load_model

    check_kind(folder)
    if torch.cuda.is_available():
        model: Any = load_model(folder)
        return model.to("cuda")
    graph = folder / "model.onnx"
    if not graph.is_file():
        return load_model(folder)
    try:
        return OnnxModel(graph, arena=True)
    except ValueError as error:
        raise InputError(str(error)) from error


def batches(windows: Sequence[Window], batch_size: int) -> Iterator[list[int]]:
    """Indices of windows of like length, the longest first, so that little is padding."""
    order = sorted(range(len(windows)), key=lambda i: (-len(windows[i].audio), i))
    batch: list[int] = []
    for i in order:
        longest = len(windows[batch[0]].audio) if batch else 0
        full = (len(batch) + 1) * longest > BATCH_SECONDS * SAMPLE_RATE
        unlike = len(windows[i].audio) < LIKE * longest
        if batch and (len(batch) == batch_size or full or unlike):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def answer_batch(model: "MoodlineModel | OnnxModel", windows: Sequence[Window]) -> np.ndarray:
    """Probabilities and embedding of each window beside each other: [n, 4 + d]."""
    audio = [w.audio for w in windows]
    ids = [w.input_ids for w in windows]
    if isinstance(model, OnnxModel):
        return np.concatenate(model.run(audio, ids), axis=1)
    import torch

    arrays = (*pad(audio, np.float32), *pad(ids, np.int64))
    with torch.inference_mode():
        output = model(*(torch.from_numpy(array).to(model.device) for array in arrays))
        answer = torch.cat([output.logits.softmax(-1), output.embedding], 1)
    return answer.float().cpu().numpy()
