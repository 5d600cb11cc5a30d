"""Answers for many clips: windows, sorted by length, in batches, averaged back."""

from collections.abc import Iterator, Sequence
from copy import copy
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.base import InputError
from components.conversation import SAMPLE_RATE, Progress
from components.fusion.onnx_model import OnnxModel, pad
from components.fusion.tokens import load_tokenizer
from components.fusion.windows import Clip, Window, average_windows, clip_windows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from components.fusion.config import MoodlineConfig
    from components.fusion.model import MoodlineModel

Answered = dict[bytes, np.ndarray]
"""Probabilities and embeddings [k + d] of windows, by what decides them."""

MAX_BATCH_SECONDS = 120.0
"""Sound in one batch, padding included: it bounds the memory."""

MIN_LENGTH_SHARE = 0.9
"""The shortest window in a batch, as a share of the longest: the rest is padding."""


class Classifier:
    """A model version, opened once: the one way to ask it for emotions.

    It answers in the form that is fastest here: with torch on a GPU, otherwise with its ONNX graph.
    A folder without a graph answers with torch. The graph needs no torch.

    Raises:
        InputError: a folder without a model, or with another kind of model.
    """

    def __init__(self, folder: Path | str) -> None:
        self.model = _open_model(Path(folder))
        self.tokenizer = load_tokenizer(Path(folder))
        self._known: Answered | None = None

    def remembering(self) -> "Classifier":
        """The same model; a window that it answered in one call is not asked for in another."""
        other = copy(self)
        other._known = {}
        return other

    @property
    def labels(self) -> tuple[str, ...]:
        """The k emotions that the version tells apart, in the order of its answers."""
        return limits_of(self.model).labels

    def __call__(self, clips: Sequence[Clip]) -> np.ndarray:
        """The clips' probabilities [n, k], in the order of `labels`."""
        return self.predict(clips)[0]

    def predict(
        self, clips: Sequence[Clip], progress: Progress | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The clips' probabilities [n, k] and embeddings [n, d]; see `predict`."""
        return predict(
            self.model, clips, tokenizer=self.tokenizer, progress=progress, known=self._known
        )


def _open_model(folder: Path) -> "MoodlineModel | OnnxModel":
    graph = folder / "model.onnx"
    if graph.is_file() and not _has_gpu():
        try:
            return OnnxModel(graph, arena=True)
        except ValueError as error:
            raise InputError(str(error)) from error
    from components.fusion.model import load_model

    model: Any = load_model(folder)
    return model.to("cuda") if _has_gpu() else model


def _has_gpu() -> bool:
    try:
        import torch
    except ImportError:  # where only graphs are served
        return False
    return torch.cuda.is_available()


def predict(
    model: "MoodlineModel | OnnxModel",
    clips: Sequence[Clip],
    *,
    tokenizer: "Tokenizer",
    batch_size: int | None = None,
    progress: Progress | None = None,
    known: Answered | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Classify turns with a loaded model.

    Clips longer than the model takes are cut into windows. A clip's answer is the average of its
    windows' answers, weighted by duration.

    Args:
        model: under torch or as a graph.
        batch_size: windows in a batch, at most; by default 8 on a GPU and 1 on a CPU, which is as
            quick with one, has nothing to pad and needs the least memory.
        progress: called with the number of windows done and their total, of those asked for.
        known: answers that are not asked for again; those given now are added. None: all are.

    Returns:
        Probabilities [n, k], in the order of the model's k labels, and embeddings [n, d].

    Raises:
        InputError: a clip that is not one channel of numbers.
    """
    limits = limits_of(model)
    if batch_size is None:
        batch_size = 1 if isinstance(model, OnnxModel) or model.device.type == "cpu" else 8
    windows = clip_windows(clips, tokenizer, limits.max_samples, limits.max_tokens)
    answers = np.zeros((len(windows), len(limits.labels) + limits.hidden_size))
    keys = [] if known is None else [_key(window) for window in windows]
    todo = [i for i in range(len(windows)) if known is None or keys[i] not in known]
    done = 0
    for places in batches([windows[i] for i in todo], batch_size):
        batch = [todo[place] for place in places]
        answers[batch] = answer_batch(model, [windows[i] for i in batch])
        done += len(batch)
        if progress:
            progress(done, len(todo))
    if known is not None:
        known |= {keys[i]: answers[i].astype(np.float32) for i in todo}
        for answer, key in zip(answers, keys, strict=True):
            answer[:] = known[key]
    table = average_windows(windows, answers, len(clips))
    return table[:, : len(limits.labels)], table[:, len(limits.labels) :]


def _key(window: Window) -> bytes:
    """What decides a window's answer."""
    sound, ids = np.ascontiguousarray(window.audio), np.array(window.input_ids)
    return sha256(b"%d " % len(sound) + sound.tobytes() + ids.tobytes()).digest()


def limits_of(model: "MoodlineModel | OnnxModel") -> "MoodlineConfig | OnnxModel":
    """What knows a model's labels and sizes."""
    return model if isinstance(model, OnnxModel) else model.config


def batches(windows: Sequence[Window], batch_size: int) -> Iterator[list[int]]:
    """Indices of windows of like length, the longest first, so that little is padding."""
    order = sorted(range(len(windows)), key=lambda i: (-len(windows[i].audio), i))
    batch: list[int] = []
    for i in order:
        longest = len(windows[batch[0]].audio) if batch else 0
        full = (len(batch) + 1) * longest > MAX_BATCH_SECONDS * SAMPLE_RATE
        unlike = len(windows[i].audio) < MIN_LENGTH_SHARE * longest
        if batch and (len(batch) == batch_size or full or unlike):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def answer_batch(model: "MoodlineModel | OnnxModel", windows: Sequence[Window]) -> np.ndarray:
    """Probabilities and embedding of each window beside each other: [n, k + d]."""
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
