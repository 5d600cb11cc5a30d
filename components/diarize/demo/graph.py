"""A network of torch as a graph for onnxruntime, which computes the same on a CPU in less time."""

import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from components.base import MOST_AT_ONCE, charge, cores

OPERATORS = 17
"""The version of ONNX' set of operators that graphs are of."""

TOLERANCE = 1e-4
"""The largest difference of the two that is taken."""


def write_graph(
    network: Callable[[Tensor], Tensor], modules: nn.Module, width: int, to: Path
) -> None:
    """Write a network of one input [1, frames, width] and one output [1, size] as ONNX.

    Args:
        network: on the CPU, not in training.
        modules: those that it calls.
        width: of its input.
        to: the file.

    Raises:
        RuntimeError: the graph's answers differ from torch's by more than `TOLERANCE`.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter of torch's newer ones, and of shapes
        torch.onnx.export(
            _Exported(network, modules).eval(),
            (_examples(width)[0],),
            str(to),
            input_names=["frames"],
            output_names=["vector"],
            dynamic_axes={"frames": {1: "time"}},
            opset_version=OPERATORS,
            dynamo=False,
        )
    Graph(to, network, width)


def _examples(width: int) -> list[Tensor]:
    same = torch.Generator().manual_seed(0)  # each time; others draw from torch's own
    return [torch.randn(1, frames, width, generator=same) for frames in (230, 61)]


class Graph:
    """A graph that `write_graph` wrote, opened, and held against the network once more: another
    processor or onnxruntime may compute it otherwise.

    Args:
        file: the graph.
        network, width: as it was written.

    Raises:
        RuntimeError: its answers differ from torch's by more than `TOLERANCE`.
        Exception: onnxruntime's own, where it cannot read the file.
    """

    def __init__(self, file: Path, network: Callable[[Tensor], Tensor], width: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # onnxruntime warns of each initializer that it folds.
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        with torch.no_grad():
            for example in _examples(width):
                difference = float(np.abs(self(example.numpy()) - network(example).numpy()).max())
                if difference > TOLERANCE:
                    raise RuntimeError(f"onnxruntime differs from torch by {difference:g}")

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """One input's output, on one core; other threads may call it meanwhile."""
        (vector,) = self._session.run(None, {"frames": frames})
        return np.asarray(vector)

    def each(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs of inputs of any lengths, on several cores: each is what it is by itself.

        Batches gain nothing on a CPU, and would need inputs of one length.
        """
        count = min(cores(), MOST_AT_ONCE, len(inputs))
        if count < 2:
            return [self(frames) for frames in inputs]
        with ThreadPoolExecutor(count) as pool:
            done = list(pool.map(self._timed, inputs))
        charge(sum(seconds for _, seconds in done))
        return [vector for vector, _ in done]

    def _timed(self, frames: np.ndarray) -> tuple[np.ndarray, float]:
        began = time.thread_time()
        return self(frames), time.thread_time() - began


class _Exported(nn.Module):
    def __init__(self, network: Callable[[Tensor], Tensor], modules: nn.Module) -> None:
        super().__init__()
        self.modules_of_it = modules
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        return self.network(frames)
