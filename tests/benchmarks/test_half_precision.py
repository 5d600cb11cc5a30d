"""What FP16 costs: the demo's model with its sums in float16, beside itself in float32.

TensorRT is not here. onnxruntime's own converter makes a graph with every sum in float16, which is
the worst that TensorRT may choose, and the CPU runs it. BENCH_MODEL names a trained model's folder
(`moodline train`); without it the head is a fresh one.
"""

import os
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from pytest_benchmark.fixture import BenchmarkFixture

from components.conversation import read_audio
from components.corpus import read_corpus
from components.fusion import OnnxModel, Window, clip_windows, load_tokenizer
from components.train.version import golden_clips

ROOT = Path(__file__).resolve().parents[2]
VALIDATION = "Session4"


def clips(folder: Path, model: OnnxModel) -> list[Window]:
    """What people say in the validation fold, never the test fold, in the model's windows."""
    limits = load_tokenizer(folder), model.max_samples, model.max_tokens
    return [
        window
        for recording in read_corpus(ROOT / "components" / "corpus" / "demo")
        if recording.fold == VALIDATION
        for said in recording.utterances
        for window in clip_windows(
            [(read_audio(recording.audio, said.start, said.end), said.text)], *limits
        )
    ]


def test_answers_in_float16(model: Path, tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    """The largest difference of a probability, and how many emotions change."""
    folder = Path(os.environ.get("BENCH_MODEL", model))
    graph = onnx.load(folder / "model.onnx")
    half = convert_float_to_float16(graph, keep_io_types=True)
    onnx.save(half, tmp_path / "half.onnx")
    single, rounded = OnnxModel(folder / "model.onnx"), OnnxModel(tmp_path / "half.onnx")

    def answers(windows: list[Window]) -> np.ndarray:
        pair = (single, rounded)
        return np.array(
            [[one.run([w.audio], [w.input_ids])[0][0] for one in pair] for w in windows]
        )

    windows = clips(folder, single)
    said = benchmark.pedantic(answers, args=(windows,), rounds=1)
    limits = load_tokenizer(folder), single.max_samples, single.max_tokens
    golden = answers([clip_windows([clip], *limits)[0] for clip in golden_clips()])
    off = np.abs(said[:, 0] - said[:, 1]).max(axis=1)
    benchmark.extra_info["clips"] = len(said)
    benchmark.extra_info["largest_difference"] = float(off.max())
    benchmark.extra_info["changed"] = int((said[:, 0].argmax(1) != said[:, 1].argmax(1)).sum())
    worst = np.abs(golden[:, 0] - golden[:, 1]).max(axis=1)
    benchmark.extra_info["golden"] = [float(value) for value in worst]
    print(benchmark.extra_info)
    assert off.max() < 0.01
