"""The parts of `make test-gpu`, by name: `python -m tests.gpu.parts NAME`.

The models have the paper's size (wav2vec2-base, roberta-base) and random weights.
"""

import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import numpy as np

from tests.gpu.__main__ import LEFT_OUT

SECONDS = 4
TOLERANCE = {"CUDAExecutionProvider": 2e-3, "TensorrtExecutionProvider": 1e-2}
"""Of probabilities against torch in float32; GPUs may sum in TF32."""


def leave_out(why: str) -> NoReturn:
    """End this part: something that it needs is not here."""
    print(why)
    sys.exit(LEFT_OUT)


def full_size(folder: Path):  # type: ignore[no-untyped-def]
    """The paper's model, and its folder."""
    from components.fusion.model import load_model
    from tests.full_size.models import fusion

    fusion(folder, folder)
    return load_model(folder / "fusion")


def items(count: int) -> list[dict]:
    """Noise with token ids, each a turn."""
    dice = np.random.default_rng(0)
    sound = 0.1 * dice.standard_normal((count, SECONDS * 16_000), dtype="f4")
    return [
        {"acoustic": sound[i], "text": np.arange(4, 24), "label": i % 4, "turn": i, "weight": 1.0}
        for i in range(count)
    ]


def fine_tuning(folder: Path) -> None:
    """A step in bf16 is finite, near to float32's, and told with its speed and memory."""
    import torch

    from components.config import TrainStep, load_profile
    from components.train.loop import fit

    base = load_profile("paper").model_dump(mode="json")
    told = {}
    for precision in ("float32", "bf16"):
        base["train"] = {
            "freeze_encoders": False,
            "epochs": 2,
            "batch_size": 16,
            "precision": precision,
            "encoder_learning_rate": 1e-6,
        }
        profile = TrainStep.of(type(load_profile("paper")).model_validate(base))
        model = full_size(folder).to("cuda")
        torch.cuda.reset_peak_memory_stats()
        ends: list[float] = []
        history = fit(
            model,
            training=items(64),
            validation=items(8),
            profile=profile,
            work=folder / precision,
            on_epoch=lambda _, ends=ends: ends.append(time.perf_counter()),
            checkpoint_seconds=1e9,
        )
        memory = torch.cuda.max_memory_allocated() / 2**30
        told[precision] = (history[0]["training_loss"], 4 / (ends[1] - ends[0]), memory)
        del model
    for precision, (loss, speed, memory) in told.items():
        print(
            f"{precision}: loss {loss:.3f}, {speed:.2f} steps of 16 a second, {memory:.1f} GiB;",
            end=" ",
        )
    assert np.isfinite([loss for loss, *_ in told.values()]).all()
    assert abs(told["bf16"][0] - told["float32"][0]) < 0.1


def cuda(folder: Path) -> None:
    """The exported graph on onnxruntime's CUDA answers as torch does."""
    _graph(folder, "CUDAExecutionProvider")


def tensorrt(folder: Path) -> None:
    """The same on its TensorRT."""
    _graph(folder, "TensorrtExecutionProvider")


def _graph(folder: Path, provider: str) -> None:
    import onnxruntime
    import torch

    from components.fusion.export import export_onnx
    from components.fusion.onnx_model import INPUTS, OUTPUTS, pad

    if provider not in onnxruntime.get_available_providers():
        leave_out(f"onnxruntime has no {provider} here: install onnxruntime-gpu in its place")
    model = full_size(folder)
    export_onnx(model, folder / "model.onnx")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=[provider])
    assert session.get_providers()[0] == provider
    batch = items(8)
    arrays = (
        *pad([item["acoustic"] for item in batch], np.float32),
        *pad([item["text"] for item in batch], np.int64),
    )
    with torch.inference_mode():
        expected = model(*map(torch.from_numpy, arrays)).logits.softmax(-1).numpy()
    feed = dict(zip(INPUTS, arrays, strict=True))
    given = session.run(OUTPUTS, feed)[0]
    began = time.perf_counter()
    for _ in range(10):
        session.run(OUTPUTS, feed)
    took = (time.perf_counter() - began) / 10
    error = float(np.abs(given - expected).max())
    print(f"{len(batch) * SECONDS / took:.0f} times real time, largest difference {error:.1e}")
    assert error < TOLERANCE[provider]


def streams(_: Path) -> None:
    """Two recordings listened to side by side give the turns of one after the other."""
    from components.config import Settings, load_profile
    from components.conversation import read_audio
    from serving.engine.analyze import Analyzer
    from serving.engine.options import Options

    paths = sorted(Path("components/corpus/demo").rglob("*.ogg"))[:2]
    sounds = [read_audio(path) for path in paths]
    analyzer = Analyzer(load_profile("tiny"), Settings())
    analyzer.load()

    def hear(sound: np.ndarray) -> list[tuple[float, str, str]]:
        turns = analyzer.find_turns(sound, Options("a", num_speakers=2)).turns
        return [(turn.start, turn.speaker, turn.words) for turn in turns]

    hear(sounds[0])
    began = time.perf_counter()
    alone = [hear(sound) for sound in sounds]
    one = time.perf_counter() - began
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(hear, sounds))
    two = time.perf_counter() - began
    assert together == alone
    print(f"{one:.1f} s one after the other, {two:.1f} s side by side")


def triton(folder: Path) -> None:
    """The repository's layout for a GPU, loaded and proved by a Triton with a GPU.

    MOODLINE_GPU_TRITON is the address of its gRPC, MOODLINE_GPU_REPOSITORY its model repository,
    which this process can write; it runs with `--model-control-mode explicit`.
    """
    address = os.environ.get("MOODLINE_GPU_TRITON")
    repository = os.environ.get("MOODLINE_GPU_REPOSITORY")
    if not address or not repository:
        leave_out("MOODLINE_GPU_TRITON and MOODLINE_GPU_REPOSITORY name no Triton with a GPU")
    from components.fusion import load_tokenizer
    from components.fusion.export import export_onnx
    from components.train.version import write_golden
    from serving.settings import HostSettings
    from serving.triton.control import TritonControl, read_golden
    from serving.triton.gpu import graph_model
    from serving.triton.repository import export_version, serve_versions

    model, version = full_size(folder), folder / "fusion"
    export_onnx(model, version / "model.onnx")
    write_golden(model, load_tokenizer(version), version / "golden.safetensors")
    export_version(version, Path(repository), 1)
    serve_versions(Path(repository), [1], HostSettings(gpu=True))
    control = TritonControl(address)
    control.load([graph_model(1)])
    control.prove(1, read_golden(version))
    print("version 1 answers its golden clips")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        globals()[sys.argv[1]](Path(name))
