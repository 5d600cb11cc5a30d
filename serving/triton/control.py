"""Steer a running Triton: load, unload, and prove that a version answers rightly."""

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.base import InputError
from components.config import ServingSettings
from components.conversation import Seconds
from serving.errors import NotReadyError, NotSteeredError
from serving.settings import LOAD_SECONDS
from serving.triton.errors import TritonError, triton_errors
from serving.triton.gpu import graph_model
from serving.triton.protocol import CHANNEL, RECONNECT_SECONDS, Answer, to_answer, to_inputs
from serving.triton.repository import MODEL

logger = logging.getLogger(__name__)

_NOT_EXPLICIT = "explicit model load / unload is not allowed"
"""What Triton says in the control modes `none` (its default) and `poll`."""


@dataclass(frozen=True, slots=True)
class Golden:
    """A clip with the answer that the model gave when it was trained.

    Attributes:
        tolerance: the largest difference from a probability that is still right.
    """

    audio: np.ndarray
    input_ids: np.ndarray
    probabilities: np.ndarray
    tolerance: float = ServingSettings().largest_difference


def read_golden(model_dir: Path, serving: ServingSettings | None = None) -> list[Golden]:
    """The golden clips of a model version's folder, as training wrote them.

    Args:
        model_dir: the version's folder.
        serving: the precision that it is asked in; None: the precision of its answers there.

    Raises:
        InputError: it has none, or not as they should be.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = Path(model_dir) / "golden.safetensors"
    tolerance = (serving or ServingSettings()).largest_difference
    try:
        tensors = load_file(path)
        answers = tensors["probabilities"]
        if not len(answers):
            raise InputError(f"{path}: holds no golden clips; train the model again")
        return [
            Golden(tensors[f"audio.{i}"], tensors[f"input_ids.{i}"], answer, tolerance)
            for i, answer in enumerate(answers)
        ]
    except (OSError, SafetensorError, KeyError) as error:
        reason = f"the golden clips cannot be read ({error}); train the model again"
        raise InputError(f"{path}: {reason}") from error


@contextmanager
def _not_ready(what: str) -> Iterator[None]:
    from tritonclient.utils import InferenceServerException

    try:
        yield
    except InferenceServerException as error:
        raise NotReadyError(f"{what}: {error.message()}") from error


class TritonControl:
    """A client for whoever runs Triton: a supervisor, a test, the command line. Loading what is
    configured may take `load_seconds`."""

    def __init__(self, url: str, *, load_seconds: Seconds = LOAD_SECONDS) -> None:
        self.url = url
        self.load_seconds = load_seconds
        self._connect()

    def _connect(self) -> None:
        from tritonclient.grpc import InferenceServerClient

        self._client: Any = InferenceServerClient(self.url, channel_args=CHANNEL)
        self._connected_at = time.monotonic()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def alive(self) -> bool:
        """Whether Triton itself answers (its models may not)."""
        from tritonclient.utils import InferenceServerException

        try:
            return bool(self._client.is_server_live(client_timeout=2.0))
        except InferenceServerException:
            if time.monotonic() - self._connected_at > RECONNECT_SECONDS:
                self.close()
                self._connect()
            return False

    def release(self) -> str:
        """Triton's own release.

        Raises:
            NotReadyError: Triton does not answer.
        """
        with _not_ready("Triton does not answer"):
            return str(self._client.get_server_metadata(client_timeout=5.0).version)

    def load(self, graphs: Collection[str] = ()) -> None:
        """Serve the versions that the configuration in the repository names.

        Versions that are served already go on answering meanwhile, and after a failure.

        Args:
            graphs: the models that are those versions' graphs, on a GPU; other graphs are unloaded.

        Raises:
            NotReadyError: a version cannot be loaded.
        """
        with self._loading():
            for model in (*sorted(graphs), MODEL):  # one that is loaded and unchanged stays
                self._client.load_model(model, client_timeout=self.load_seconds)
            for graph in sorted(self._held_graphs() - set(graphs)):  # nobody asks it any more
                self._client.unload_model(graph, client_timeout=30.0)

    def load_files(self, model: str, config: str, files: Mapping[str, Path]) -> None:
        """Load a model that is in no repository.

        Args:
            model: its name.
            config: its configuration, as in a repository.
            files: by their paths in the model's folder.

        Raises:
            NotReadyError: it cannot be loaded.
        """
        from google.protobuf import json_format, text_format
        from tritonclient.grpc import model_config_pb2

        parsed = text_format.Parse(config, model_config_pb2.ModelConfig())
        with self._loading():
            self._client.load_model(
                model,
                config=json_format.MessageToJson(parsed, preserving_proto_field_name=True),
                files={f"file:{name}": path.read_bytes() for name, path in files.items()},
                client_timeout=self.load_seconds,
            )

    @contextmanager
    def _loading(self) -> Iterator[None]:
        from tritonclient.utils import InferenceServerException

        try:
            yield
        except InferenceServerException as error:
            if _NOT_EXPLICIT in error.message():
                raise NotSteeredError(
                    f"{self.url}: this Triton loads nothing when it is asked to; start it with"
                    " --model-control-mode=explicit"
                ) from error
            late = error.status() == "StatusCode.DEADLINE_EXCEEDED"
            reason = f"it takes longer than {self.load_seconds:g} s" if late else error.message()
            raise NotReadyError(f"Triton cannot load the model: {reason}") from error

    def _held_graphs(self) -> set[str]:
        index = self._client.get_model_repository_index(client_timeout=self.load_seconds)
        prefix = graph_model("")
        return {m.name for m in index.models if m.state == "READY" and m.name.startswith(prefix)}

    def unload(self, *models: str) -> None:
        """Serve no version any more; requests under way are answered first.

        Args:
            models: to unload, in this order; none: the one that is asked.

        Raises:
            NotReadyError: Triton does not answer.
        """
        with _not_ready("Triton cannot unload the model"):
            for model in models or (MODEL,):
                self._client.unload_model(model, client_timeout=30.0)

    def versions(self) -> list[int]:
        """The versions that Triton says are ready, ascending; only `prove` shows that they are.

        Raises:
            NotReadyError: Triton does not answer.
        """
        with _not_ready("Triton does not answer"):
            index = self._client.get_model_repository_index(client_timeout=5.0)
        return sorted(
            int(model.version)
            for model in index.models
            if model.name == MODEL and model.state == "READY" and model.version
        )

    def answer_count(self, version: int) -> int:
        """How many requests a version has answered since it was loaded.

        Raises:
            NotReadyError: Triton does not answer, or does not know the version.
        """
        with _not_ready(f"no statistics of version {version}"):
            counted = self._client.get_inference_statistics(MODEL, str(version), client_timeout=5.0)
        return int(counted.model_stats[0].inference_stats.success.count)

    def ask(
        self,
        audio: np.ndarray,
        input_ids: np.ndarray,
        *,
        version: int,
        timeout: Seconds = 30.0,
        model: str = MODEL,
    ) -> Answer:
        """One clip's answer by one version.

        Raises:
            TritonError: no answer, or an empty one.
        """
        inputs, number = to_inputs(audio, input_ids), str(version)
        with triton_errors(timeout):
            call = self._client.infer
            return to_answer(call(model, inputs, model_version=number, client_timeout=timeout))

    def check(
        self, version: int, golden: Golden, *, timeout: Seconds = 30.0, model: str = MODEL
    ) -> float:
        """Ask one golden clip, and compare.

        Returns:
            The largest difference from the golden probabilities; at most the clip's tolerance.

        Raises:
            TritonError: no answer.
            NotReadyError: a wrong one.
        """
        clip = (golden.audio, golden.input_ids)
        answer = self.ask(*clip, version=version, timeout=timeout, model=model)
        off = float(np.abs(answer.probabilities - golden.probabilities).max())
        if not off <= golden.tolerance:  # written so that a NaN is wrong, too
            raise NotReadyError(
                f"version {version} is off its golden answers by {off:.2g};"
                f" {golden.tolerance:g} is allowed"
            )
        return off

    def prove(
        self, version: int, golden: list[Golden], *, timeout: Seconds = 30.0, model: str = MODEL
    ) -> float:
        """Make sure that a version answers its golden clips rightly. Triton goes on saying "ready"
        after the model's process has died.

        Returns:
            The largest difference from a golden probability.

        Raises:
            NotReadyError: it does not answer, or its answer is wrong.
        """
        try:
            return max(self.check(version, clip, timeout=timeout, model=model) for clip in golden)
        except TritonError as error:
            raise NotReadyError(f"version {version} does not answer: {error}") from error
