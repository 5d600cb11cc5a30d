"""A fitted model's answers on its own examples: for its temperature and the drift reference.

Processes share the windows, and each takes its own in batches of like length. The windows' answers
are kept before the softmax: the temperature comes after.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from accelerate.utils import gather_object
from scipy.special import softmax
from torch import nn
from torch.utils.data import DataLoader

from components.base import allowed_cores
from components.conversation import SAMPLE_RATE
from components.fusion import turn_measures
from components.fusion.prediction import MAX_BATCH_SECONDS, MIN_LENGTH_SHARE
from components.train.data import Row, Sound
from components.train.processes import rank, world_size
from components.train.trainer import collate, tensors_of
from components.train.windows import Item, columns_of

STATES_TOGETHER = 256
SOUND_TOGETHER = 8
"""Windows of a batch: on a CPU a batch of sound has one, which has nothing to pad."""

MAX_FRAMES = 60_000
"""Frames of states in a batch, padding included: it bounds the memory."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Of n turns with w windows.

    Attributes:
        logits: float32 [w, k], before any temperature.
        embedding: float32 [n, d], windows averaged.
        turns, weights: [w], as of `Columns`.
    """

    logits: np.ndarray
    embedding: np.ndarray
    turns: np.ndarray
    weights: np.ndarray

    def probabilities(self, temperature: float = 1.0) -> np.ndarray:
        """The turns' probabilities, windows averaged: [n, k]."""
        given = softmax(self.logits.astype(np.float64) / temperature, axis=1)
        return _averaged(given, self.turns, self.weights, len(self.embedding))


@torch.inference_mode()
def answer(module: nn.Module, items: Sequence[Item], workers: int = 0) -> Answers:
    """Ask a module about windows; every process has all answers in the end.

    Args:
        module: a `MoodlineHead` over states, or a whole `MoodlineModel`; its temperature is 1.
        workers: processes that read the windows.
    """
    columns = columns_of(items)
    device = next(module.parameters()).device
    module.eval()
    mine = list(_batches(columns.lengths, columns.sound, device.type))[rank() :: world_size()]
    loader: DataLoader = DataLoader(
        items,  # type: ignore[arg-type]
        batch_sampler=mine,
        collate_fn=collate,
        num_workers=min(workers, len(mine)),
    )
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for batch in loader:
        inputs = {k: v.to(device) for k, v in tensors_of(batch).items() if k != "labels"}
        output = module(**inputs)
        found.append((output.logits.float().cpu().numpy(), output.embedding.float().cpu().numpy()))
    shares = gather_object([(mine, *map(list, zip(*found, strict=True)))] if mine else [])
    order = np.concatenate([batch for of_one, *_ in shares for batch in of_one])
    logits, vectors = (
        np.concatenate([part for share in shares for part in share[1 + i]])[np.argsort(order)]
        for i in range(2)
    )
    count = int(columns.turns.max()) + 1
    embedding = _averaged(vectors, columns.turns, columns.weights, count)
    return Answers(logits, embedding.astype(np.float32), columns.turns, columns.weights)


def _averaged(values: np.ndarray, turns: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Windows' [w, x] to turns' [n, x]."""
    table = np.zeros((count, values.shape[1]))
    np.add.at(table, turns, weights[:, None] * values)
    return table


def _batches(lengths: np.ndarray, sound: bool, device: str) -> Iterator[list[int]]:
    """Windows of like length, the longest first."""
    most = STATES_TOGETHER
    if sound:
        most = SOUND_TOGETHER if device != "cpu" else 1
    room = MAX_BATCH_SECONDS * SAMPLE_RATE if sound else MAX_FRAMES
    batch: list[int] = []
    for i in np.argsort(-lengths, kind="stable").tolist():
        longest = lengths[batch[0]] if batch else 0
        unlike = lengths[i] < MIN_LENGTH_SHARE * longest
        if batch and (len(batch) == most or (len(batch) + 1) * longest > room or unlike):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def measure(rows: Sequence[Row], sound: Sound) -> dict[str, np.ndarray]:
    """The measures of turns (`components.fusion.turn_measures`), each float32 [n].

    Processes share the turns, and every one has all measures in the end.

    Raises:
        InputError: sound that cannot be read, or was changed.
    """
    cores = max(allowed_cores() // world_size(), 1)
    with ThreadPoolExecutor(cores) as pool:
        mine = pool.map(lambda row: turn_measures(*sound.clip(row)), rows[rank() :: world_size()])
        columns = _columns(list(mine))
    shares = gather_object([columns])
    table: dict[str, np.ndarray] = {
        name: np.zeros(len(rows), np.float32) for share in shares for name in share
    }
    for first, share in enumerate(shares):
        for name, values in share.items():
            table[name][first :: world_size()] = values
    return table


def _columns(measures: Sequence[dict[str, float]]) -> dict[str, np.ndarray]:
    names = measures[0] if measures else {}
    return {name: np.array([m[name] for m in measures], np.float32) for name in names}
