"""Frozen encoders: each example's states are computed once, cached, and trained on."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from accelerate.utils import wait_for_everyone
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from components.base import Cache, json_digest
from components.conversation import FEEDBACK
from components.fusion import clip_windows
from components.fusion.head import MoodlineHead
from components.fusion.model import MoodlineModel
from components.train.augment import Heard
from components.train.data import Row, Sound
from components.train.processes import rank, world_size

STATES = 2
"""The version of what is kept of a row. (2: with the linear probe's features.)"""


@dataclass(frozen=True, slots=True)
class EncodedWindow:
    """Both encoders' states of one window.

    Attributes:
        acoustic: float32 [frames, d_a]; for `attend: pooled` pooled over them, [1, d_a]. With
            `use_weighted_layer_sum` d_a is that of all layers: they are pooled first and mixed
            in the head, so that what is kept does not grow with the clip
            (`components.fusion.pooling`).
        text: float32 [tokens, d_t], or [1, d_t], likewise.
        weight: the window's share of its turn.
        probe: float32 [f], the features of the linear probe.
    """

    acoustic: np.ndarray
    text: np.ndarray
    weight: float
    probe: np.ndarray


def encoder_digest(model: MoodlineModel) -> str:
    """A digest of everything that decides the encoders' states: weights and configuration."""
    whole = hashlib.sha256()
    for part in (model.acoustic, model.text):
        for name, value in sorted(part.state_dict().items()):
            whole.update(name.encode())
            whole.update(value.cpu().contiguous().numpy().tobytes())
    config = model.config
    limits = (config.max_samples, config.max_tokens, config.normalize_audio)
    return json_digest([whole.hexdigest(), config.acoustic, config.text, limits])


def encode_rows(
    model: MoodlineModel,
    tokenizer: Tokenizer,
    rows: Sequence[Row],
    *,
    sound: Sound,
    cache: Cache,
    report: Callable[[int], None],
    heard: Heard | None = None,
) -> list[list[EncodedWindow]]:
    """The windows of each row with their states, computed or read from the cache.

    Clips go through the encoders one at a time, so that cached states are the same to the last
    digit whatever else was missing. Several processes compute a share each.

    Args:
        model: its encoders are used; its head is not.
        report: called with the number of rows done.
        heard: the conditions in which the rows are heard; None: as they were recorded.
    """
    config = model.config
    form = (config.attend, config.pooling, config.use_weighted_layer_sum)
    encoder = (encoder_digest(model), *form)

    def states(row: Row) -> list[EncodedWindow]:
        conditions = heard.key if heard else None
        turn = (sound.digest(row), row.start, row.end, row.text)
        key = (STATES, *encoder, *turn, conditions)
        # What came back from traffic must be found again when it is erased.
        owner = row.recording if row.fold == FEEDBACK else ""
        path = cache.path("states", *key, suffix=".safetensors", owner=owner)
        if not cache.has(path):
            windows = _encode(model, tokenizer, row, sound, heard)
            arrays = {}
            for i, window in enumerate(windows):
                arrays[f"acoustic.{i}"], arrays[f"text.{i}"] = window.acoustic, window.text
                arrays[f"probe.{i}"] = window.probe
            arrays["weights"] = np.array([window.weight for window in windows])
            with cache.making(path) as temporary:
                save_file(arrays, temporary)
        arrays = load_file(path)
        return [
            EncodedWindow(arrays[f"acoustic.{i}"], arrays[f"text.{i}"], w, arrays[f"probe.{i}"])
            for i, w in enumerate(arrays["weights"].tolist())
        ]

    encoded = []
    processes = world_size()
    # One core for each clip is faster than all cores for one: clips are short.
    cores = max((os.cpu_count() or 1) // processes, 1)
    with one_thread(), ThreadPoolExecutor(cores if model.device.type == "cpu" else 1) as pool:
        if processes > 1:
            for done, _ in enumerate(pool.map(states, rows[rank() :: processes]), start=1):
                report(done * processes)
            wait_for_everyone()
        for windows in pool.map(states, rows):
            encoded.append(windows)
            report(len(encoded))
    return encoded


@contextmanager
def one_thread() -> Iterator[None]:
    """torch with one thread for each operation, for work too small to share out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def _encode(
    model: MoodlineModel, tokenizer: Tokenizer, row: Row, sound: Sound, heard: Heard | None
) -> list[EncodedWindow]:
    config = model.config
    encoded = []
    for window in clip_windows([sound.clip(row)], tokenizer, config.max_samples, config.max_tokens):
        audio = heard(window.audio, row, config.max_samples) if heard else window.audio
        (acoustic, frames, text, tokens), probe = model.encode_and_probe(
            torch.from_numpy(audio)[None].to(model.device),
            torch.tensor([len(audio)], device=model.device),
            torch.tensor([window.input_ids], device=model.device),
            torch.tensor([len(window.input_ids)], device=model.device),
        )
        acoustic, text = acoustic[:, : int(frames)], text[:, : int(tokens)]
        arrays = (acoustic, text, probe)
        spoken, said, probed = (np.ascontiguousarray(x[0].float().cpu().numpy()) for x in arrays)
        encoded.append(EncodedWindow(spoken, said, window.weight, probed))
    return encoded


def standardize(model: MoodlineModel, encoded: Sequence[Sequence[EncodedWindow]]) -> None:
    """Set the head's input scaling to the mean and standard deviation of these states."""
    for modality, name in ((model.head.acoustic, "acoustic"), (model.head.text, "text")):
        states = np.concatenate([getattr(w, name) for windows in encoded for w in windows])
        deviation = np.maximum(states.std(axis=0, dtype=np.float64), 1e-4)
        modality.mean.copy_(torch.from_numpy(states.mean(axis=0, dtype=np.float64)))
        modality.scale.copy_(torch.from_numpy(deviation))


@torch.inference_mode()
def answer_rows(head: MoodlineHead, encoded: Sequence[Sequence[EncodedWindow]]) -> np.ndarray:
    """The head's answers on these states, windows averaged: [rows, k + d]."""
    device = head.positions.device
    one = torch.ones(1, dtype=torch.int64, device=device)

    def share(window: EncodedWindow) -> np.ndarray:
        acoustic, text = (torch.from_numpy(x).to(device) for x in (window.acoustic, window.text))
        output = head(acoustic[None], len(acoustic) * one, text[None], len(text) * one)
        answer = torch.cat([output.logits.softmax(-1), output.embedding], 1)[0]
        return window.weight * answer.double().cpu().numpy()

    return np.stack([sum(map(share, windows)) for windows in encoded])
