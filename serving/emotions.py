"""The emotion model as the service sees it: clips in, the served version's answers out."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.conversation import EMOTIONS, SAMPLE_RATE, InputError, Seconds
from components.fusion import Clip, average_windows, clip_windows
from components.profile import Settings
from serving import metrics
from serving.errors import LateError, NotReadyError
from serving.served import CurrentModel, LoadedModel
from serving.settings import ServeSettings
from serving.triton.client import TritonClient, TritonError, TritonLateError

logger = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
"""How long a probe's good news counts."""


@dataclass(frozen=True, slots=True)
class Classified:
    """The answers to clips, in their order.

    Attributes:
        probabilities: [n, 4], in the order of `EMOTIONS`.
        embeddings: [n, d].
        version: the model version that gave all of them.
    """

    probabilities: np.ndarray
    embeddings: np.ndarray
    version: int


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The version that takes the traffic.

    Attributes:
        name: of the registered model.
        version: the registry's number.
        alias: by which it is served.
        digest: of the version's folder, as it was registered; empty if it came from no registry.
        verdict: of its gate, likewise.
    """

    name: str
    version: int
    alias: str
    digest: str
    verdict: str


class Emotions:
    """Asks Triton for the served version's answers; use it from one event loop.

    Args:
        settings: `triton_url` is asked.
        serve: names the pointer to the served version, and the deadline of a clip.
    """

    def __init__(self, settings: Settings, serve: ServeSettings) -> None:
        self._current = CurrentModel(serve.pointer)
        self._client = TritonClient(settings.triton_url, deadline=serve.clip_deadline)
        self._probe_lock = asyncio.Lock()
        self._probed = 0.0

    async def close(self) -> None:
        """Close the connection to Triton."""
        await self._client.close()

    def model(self) -> ModelInfo:
        """The version that takes the traffic now.

        Raises:
            NotReadyError: none is served.
        """
        served = self._loaded().served
        return ModelInfo("moodline", served.version, "production", served.digest, served.verdict)

    async def classify(
        self, clips: Sequence[Clip], *, deadline: Seconds | None = None, request_id: str = ""
    ) -> Classified:
        """The emotions of clips of any lengths, all by one version.

        A clip longer than the model takes is asked in windows, and their answers are averaged.

        Args:
            clips: waveform, float32 [samples] mono at 16 kHz, and words.
            deadline: seconds from now until all must be answered; None: there is only each
                window's own, `clip_deadline` once it is sent.
            request_id: names the request.

        Raises:
            InputError: a clip is no sound.
            NotReadyError: no version is served, or Triton does not answer.
            LateError: the deadline passed.
        """
        model = self._loaded()
        windows = clip_windows(clips, model.tokenizer, model.max_samples, model.max_tokens)
        try:
            async with asyncio.timeout(deadline):
                answers = await self._client.classify_all(
                    [(window.audio, np.array(window.input_ids)) for window in windows],
                    version=str(model.version),
                )
        except (TritonLateError, TimeoutError) as error:
            metrics.TRITON_FAILURES.labels("late").inc()
            raise LateError("the emotion model did not answer in time") from error
        except TritonError as error:
            metrics.TRITON_FAILURES.labels("failed").inc()
            logger.warning("%s", error)
            raise NotReadyError("the emotion model does not answer") from error
        rows = [np.concatenate([answer.probabilities, answer.embedding]) for answer in answers]
        table = np.stack(rows) if rows else np.zeros((0, len(EMOTIONS)))
        whole = average_windows(windows, table, len(clips))
        return Classified(whole[:, : len(EMOTIONS)], whole[:, len(EMOTIONS) :], model.version)

    async def ready(self) -> bool:
        """Whether Triton really gives the served version's answer to a real question (asked at
        most once a second)."""
        async with self._probe_lock:
            if time.monotonic() - self._probed < PROBE_SECONDS:
                return True
            try:
                model = self._loaded()
                answer = await self._client.classify(
                    np.zeros(SAMPLE_RATE, np.float32),
                    np.array(model.tokenizer.encode("hello").ids),
                    version=str(model.version),
                    deadline=5.0,
                )
            except (TritonError, NotReadyError) as error:
                logger.warning("not ready: %s", error)
                return False
            if not abs(float(answer.probabilities.sum()) - 1) < 1e-2:
                logger.warning("not ready: the model answers with what are no probabilities")
                return False
            self._probed = time.monotonic()
            return True

    def _loaded(self) -> LoadedModel:
        try:
            return self._current.get()
        except InputError as error:
            raise NotReadyError("no model version is served") from error
