"""The model inside Triton: clips of any length in, probabilities and embeddings out.

This file is copied beside a version's `model.onnx` and runs in Triton's own environment (numpy
and onnxruntime, nothing of Moodline). Triton hands `execute` whatever requests are waiting, each
with its own lengths. They are padded here, because only this file knows how long each one is.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

RATE = 16_000
MAX_KEPT_SAMPLES = 40 * RATE
"""The memory of larger padded groups is given back."""

OUTPUTS = ("PROBABILITIES", "EMBEDDING")
GRAPH_OUTPUTS = ("probabilities", "embedding")


@dataclass(frozen=True)
class Clip:
    """One row of one request."""

    request: int
    audio: np.ndarray
    input_ids: np.ndarray


class OnnxruntimeGraph:
    """The graph in this process, by onnxruntime on the CPU."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime  # an image for GPUs has it in its backend, not in Python

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Spinning threads would take the processor from the service beside us while we wait.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.shrink = onnxruntime.RunOptions()
        self.shrink.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Probabilities [n, k] and embeddings [n, d] of a padded group."""
        # Memory is kept for the next group, because allocating it costs a seventh of the time. The
        # memory of the longest groups is not.
        after = self.shrink if inputs["audio"].size > MAX_KEPT_SAMPLES else None
        return self.session.run(list(GRAPH_OUTPUTS), inputs, after)


class TritonGraph:
    """The graph as another model in the same Triton, which may run on a GPU."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """As `OnnxruntimeGraph.run`."""
        request = pb_utils.InferenceRequest(
            model_name=self.name,
            requested_output_names=list(GRAPH_OUTPUTS),
            inputs=[pb_utils.Tensor(name, array) for name, array in inputs.items()],
            preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU),
        )
        response = request.exec()
        if response.has_error():
            raise RuntimeError(response.error().message())
        return [
            pb_utils.get_output_tensor_by_name(response, name).as_numpy() for name in GRAPH_OUTPUTS
        ]


class TritonPythonModel:
    """One instance of one version; Triton makes it in a process of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the graph; the numbers come from the parameters in `config.pbtxt`."""
        config = json.loads(args["model_config"])
        numbers = {name: p["string_value"] for name, p in config.get("parameters", {}).items()}
        self.max_clips = int(numbers.get("group_clips", 8))
        self.max_waste = float(numbers.get("group_waste", 0.25))
        self.max_samples = float(numbers.get("group_seconds", 120)) * RATE
        self.graph: OnnxruntimeGraph | TritonGraph
        if name := numbers.get("graph"):
            self.graph = TritonGraph(f"{name}_{args['model_version']}")
        else:
            path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
            instances = sum(int(group["count"]) for group in config["instance_group"])
            share = max(len(os.sched_getaffinity(0)) // instances, 1)
            self.graph = OnnxruntimeGraph(path, int(numbers.get("threads", 0)) or share)

    def execute(self, requests: list) -> list:
        """Answer requests, in their order; a bad one fails alone."""
        clips: list[Clip] = []
        errors: dict[int, object] = {}
        for number, request in enumerate(requests):
            audio = pb_utils.get_input_tensor_by_name(request, "AUDIO").as_numpy()
            input_ids = pb_utils.get_input_tensor_by_name(request, "INPUT_IDS").as_numpy()
            if not audio.shape[-1] or not input_ids.shape[-1]:
                errors[number] = _refusal("AUDIO and INPUT_IDS must not be empty")
            elif not np.isfinite(audio).all():
                errors[number] = _refusal("AUDIO has samples that are not numbers")
            else:
                clips += [Clip(number, *row) for row in zip(audio, input_ids, strict=True)]
        answers: dict[int, list[tuple[np.ndarray, ...]]] = {}
        for clip, answer in self._answer_all(clips):
            if isinstance(answer, str):
                errors[clip.request] = pb_utils.TritonError(answer)
            else:
                answers.setdefault(clip.request, []).append(answer)
        return [
            _response(answers.get(number, []), errors.get(number))
            for number in range(len(requests))
        ]

    def _answer_all(self, clips: list[Clip]) -> list:
        """Each clip with its answer or what is wrong with it; rows of a request in order."""
        order = sorted(range(len(clips)), key=lambda i: len(clips[i].audio))
        answers: dict[int, tuple[np.ndarray, ...] | str] = {}
        lengths = [len(clips[i].audio) for i in order]
        for group in _groups(lengths, self.max_clips, self.max_waste, self.max_samples):
            members = [order[position] for position in group]
            answers.update(zip(members, self._run([clips[i] for i in members]), strict=True))
        return [(clip, answers[i]) for i, clip in enumerate(clips)]

    def _run(self, group: list[Clip]) -> list:
        try:
            outputs = self.graph.run(
                {
                    "audio": _padded([clip.audio for clip in group], np.float32),
                    "audio_lengths": np.array([len(c.audio) for c in group], np.int64),
                    "input_ids": _padded([clip.input_ids for clip in group], np.int64),
                    "text_lengths": np.array([len(c.input_ids) for c in group], np.int64),
                }
            )
        except Exception as error:  # onnxruntime's errors share no narrower base
            if len(group) > 1:  # one clip is at fault: find it, and answer the others
                return [answer for clip in group for answer in self._run([clip])]
            pb_utils.Logger.log_warn(f"a clip failed: {error}")
            return ["the model cannot answer this clip"]
        return list(zip(*outputs, strict=True))


def _groups(
    lengths: list[int], max_clips: int, max_waste: float, max_samples: float
) -> list[list[int]]:
    """Cut ascending lengths into runs of at most `max_clips` clips and `max_samples` samples when
    padded. Padding adds at most the share `max_waste`."""
    groups: list[list[int]] = []
    real = 0
    for position, length in enumerate(lengths):
        real += length
        padded = length * (len(groups[-1]) + 1) if groups else 0
        limit = min(max_samples, real * (1 + max_waste))
        if groups and len(groups[-1]) < max_clips and padded <= limit:
            groups[-1].append(position)
        else:
            groups.append([position])
            real = length
    return groups


def _padded(rows: list[np.ndarray], dtype: type) -> np.ndarray:
    """Rows of any length as one array, zeros behind each."""
    whole: np.ndarray = np.zeros((len(rows), max(len(row) for row in rows)), dtype)
    for number, row in enumerate(rows):
        whole[number, : len(row)] = row
    return whole


def _refusal(reason: str) -> object:
    return pb_utils.TritonError(reason, pb_utils.TritonError.INVALID_ARG)


def _response(rows: list[tuple[np.ndarray, ...]], error: object | None) -> object:
    if error or not rows:
        return pb_utils.InferenceResponse(error=error or _refusal("no clip was sent"))
    return pb_utils.InferenceResponse(
        output_tensors=[
            pb_utils.Tensor(name, np.stack(column).astype(np.float32))
            for name, column in zip(OUTPUTS, zip(*rows, strict=True), strict=True)
        ]
    )
