"""A segmentation network slides over a recording, on several cores."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pyannote.audio import Inference
from pyannote.core import Segment, SlidingWindow, SlidingWindowFeature
from torch import Tensor

from components.base import MOST_AT_ONCE, cores, in_halves, spent_on
from components.conversation import SAMPLE_RATE

CPU_BATCH = 4
"""The most chunks that the network hears at once on a CPU, so that their states stay in the cache
of a core. In torch, that takes as long as in onnxruntime, and a quarter less than 32 at once; of
memory an eighth."""


@dataclass(frozen=True, slots=True)
class Segmented:
    """What a segmentation network heard in a recording.

    Attributes:
        speakers: [chunks, frames, local speakers], as pyannote's diarization takes it: how surely
            each speaks; of a network that tells sets of speakers apart, bytes of 0 and 1.
        speech: [frames, 1], the probability that somebody speaks: the mean of the chunks that hear
            a frame, the middle of a chunk counting most.
    """

    speakers: SlidingWindowFeature
    speech: SlidingWindowFeature


class Segmentation:
    """pyannote's `Inference.slide` over a recording in memory, which also keeps how probable speech
    is.

    Args:
        inference: the network, its chunks and their step; chunks are not aggregated.
    """

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    def __call__(self, audio: np.ndarray, step: Callable[[float], None] | None = None) -> Segmented:
        """Hear a recording.

        Args:
            audio: float32 [samples], mono at 16 kHz; any length but none.
            step: called after each batch with the share that is done; what it raises ends the work.
        """
        inference = self._inference
        window = inference.model.audio.get_num_samples(inference.duration)
        hop = round(inference.step * SAMPLE_RATE)
        waveform = torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))
        full = max(0, (len(audio) - window) // hop + 1)
        rest = len(audio) < window or (len(audio) - window) % hop > 0
        each = self._each(_batches(waveform, window, hop, full, rest, self._batch))
        first = next(each)
        speakers = np.empty((full + rest, *first[0].shape[1:]), first[0].dtype)

        def speech() -> Iterator[np.ndarray]:
            done = 0
            for heard, spoken in chain([first], each):
                speakers[done : done + len(heard)] = heard
                done += len(heard)
                if step:
                    step(done / (full + rest))
                yield from spoken

        chunks = SlidingWindow(start=0.0, duration=inference.duration, step=inference.step)
        with closing(each):  # what is stopped has no thread left
            whole = Inference.aggregate(
                _Once(speech(), (full + rest, *first[1].shape[1:]), chunks),
                inference.model.receptive_field,
                hamming=True,
                missing=0.0,
            )
        if rest:  # without the padding of the last chunk
            length = Segment(0.0, len(audio) / SAMPLE_RATE)
            whole.data = whole.crop(length, mode="loose")
        return Segmented(SlidingWindowFeature(speakers, chunks), whole)

    @property
    def _batch(self) -> int:
        size = int(self._inference.batch_size)
        return min(size, CPU_BATCH) if self._inference.device.type == "cpu" else size

    def _each(
        self, batches: Iterator[Tensor]
    ) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        """What is heard in each batch, in order."""
        if self._inference.device.type != "cpu":
            yield from map(self._hear, batches)
            return
        count = min(cores(), MOST_AT_ONCE)
        if count < 2:
            yield from map(self._hear_in_one_thread, batches)
            return
        with ThreadPoolExecutor(count, "segment", torch.set_num_threads, (1,)) as pool:
            waiting = []
            try:
                for batch in batches:
                    waiting.append(pool.submit(copy_context().run, self._hear, batch))
                    if len(waiting) > count:
                        yield waiting.pop(0).result()
                while waiting:
                    yield waiting.pop(0).result()
            finally:
                for future in waiting:
                    future.cancel()

    def _hear_in_one_thread(self, chunks: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """As `_hear`. A second thread gains an LSTM nothing, and other recordings have the other
        cores."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return self._hear(chunks)
        finally:
            torch.set_num_threads(threads)

    def _hear(self, chunks: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Chunks [n, 1, samples] to speakers [n, frames, local speakers] and speech [n, frames, 1].

        A network that tells sets of speakers apart gives the probability of none of them; one that
        tells of each speaker whether they speak, that of the surest.
        """
        with spent_on("segment"):
            parts = in_halves(self._hear_batch, chunks, "segmentation_batch_size")
        speakers, speech = zip(*parts, strict=True)
        return np.concatenate(speakers), np.concatenate(speech)

    def _hear_batch(self, chunks: Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
        inference = self._inference
        with torch.inference_mode():
            heard = inference.model(chunks.to(inference.device))
            specifications: Any = inference.model.specifications
            speakers = inference.conversion(heard)
            if specifications.powerset:
                speakers = speakers.byte()
                speech = 1 - heard[..., :1].exp()
            else:
                speech = heard.amax(dim=-1, keepdim=True)
            return [(speakers.cpu().numpy(), speech.cpu().numpy())]


class _Once(SlidingWindowFeature):
    """Scores of each chunk, [frames, classes], that can be iterated once: all of them are never in
    memory."""

    def __init__(
        self, heard: Iterator[np.ndarray], shape: tuple[int, ...], window: SlidingWindow
    ) -> None:
        super().__init__(np.broadcast_to(np.float32(0), shape), window)
        self._heard = heard

    def __iter__(self) -> Iterator[tuple[Segment, np.ndarray]]:
        for number, scores in enumerate(self._heard):
            yield self.sliding_window[number], scores


def _batches(
    waveform: Tensor, window: int, hop: int, full: int, rest: bool, size: int
) -> Iterator[Tensor]:
    """The chunks of a recording, [n, 1, window] each; the last one padded with zeros, by itself."""
    if full:
        chunks = waveform.unfold(0, window, hop)
        for first in range(0, full, size):
            yield chunks[first : first + size, None]
    if rest:
        last = waveform[full * hop :]
        yield F.pad(last, (0, window - len(last)))[None, None]
