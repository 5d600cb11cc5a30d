"""The model as one ONNX graph, checked against torch before it is written."""

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from components.base import atomic_path
from components.conversation import SAMPLE_RATE
from components.fusion.model import MoodlineModel
from components.fusion.onnx_model import INPUTS, OUTPUTS, OnnxModel, pad

TOLERANCE = 1e-4


class _Answers(nn.Module):
    """The model with the outputs of the graph."""

    def __init__(self, model: MoodlineModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, audio: Tensor, audio_lengths: Tensor, input_ids: Tensor, text_lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        output = self.model(audio, audio_lengths, input_ids, text_lengths)
        return output.logits.softmax(-1), output.embedding


def export_onnx(model: MoodlineModel, path: Path) -> None:
    """Write the model as ONNX: any batch size, any lengths up to the model's limits.

    Inputs are `audio` float32 [B, T], `audio_lengths` int64 [B], `input_ids` int64 [B, L] and
    `text_lengths` int64 [B]; outputs `probabilities` float32 [B, k] and `embedding` float32 [B, d].
    The graph's metadata hold `emotions` (the k labels), `max_samples`, `max_tokens` and
    `hidden_size`.

    Uses torch's tracing exporter. This model reads no length in Python, so the graph is the newer
    exporter's, in a fifth of the time and half the memory.

    Args:
        path: the file to write, whole or not at all.

    Raises:
        RuntimeError: the graph's answers differ from torch's by more than 1e-4.
    """
    import onnx

    # Exported from the CPU: a device would be baked into the graph's constants.
    device, training = model.device, model.training
    answers = _Answers(nn.Module.cpu(model)).eval()
    free = {name: {0: "batch"} for name in (*INPUTS, *OUTPUTS)}
    free["audio"][1], free["input_ids"][1] = "samples", "tokens"
    with atomic_path(path) as target:
        with torch.no_grad(), warnings.catch_warnings():
            # The tracer warns of every shape in Python; the check below is what counts.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                answers,
                _batch(model, [SAMPLE_RATE, SAMPLE_RATE // 3], [7, 4]),
                str(target),
                input_names=INPUTS,
                output_names=OUTPUTS,
                dynamic_axes=free,
                opset_version=18,
                dynamo=False,
            )
        graph = onnx.load(str(target))
        names = ("max_samples", "max_tokens", "hidden_size")
        facts = {name: str(getattr(model.config, name)) for name in names}
        facts["emotions"] = ",".join(model.config.labels)
        onnx.helper.set_model_props(graph, facts)
        onnx.save(graph, str(target))
        _check(answers, target)
    nn.Module.to(model, device).train(training)


def _batch(model: MoodlineModel, samples: list[int], tokens: list[int]) -> tuple[Tensor, ...]:
    """A batch of seeded noise and token ids of the given lengths, within the model's limits."""
    generator, config = np.random.default_rng(0), model.config
    vocabulary = config.text_config().vocab_size
    audio = [0.1 * generator.standard_normal(min(n, config.max_samples)) for n in samples]
    ids = [generator.integers(0, vocabulary, min(n, config.max_tokens)) for n in tokens]
    arrays = (*pad(audio, np.float32), *pad(ids, np.int64))
    return tuple(torch.from_numpy(array) for array in arrays)


def _check(answers: _Answers, path: Path) -> None:
    """Compare the graph with torch on lengths and batch sizes that it was not traced with."""
    model = answers.model
    runner = OnnxModel(path)
    for samples, tokens in (([1], [2]), ([3 * SAMPLE_RATE, 777, 8000], [3, 11, 2])):
        batch = _batch(model, samples, tokens)
        with torch.no_grad():
            expected = answers(*batch)
        given = runner.session.run(
            list(OUTPUTS), {k: v.numpy() for k, v in zip(INPUTS, batch, strict=True)}
        )
        for name, torch_output, graph_output in zip(OUTPUTS, expected, given, strict=True):
            error = float(np.abs(torch_output.numpy() - graph_output).max())
            if not error <= TOLERANCE:
                raise RuntimeError(f"the ONNX graph's {name} differs from torch's by {error:.1e}")
