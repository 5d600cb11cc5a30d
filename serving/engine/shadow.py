"""The candidate answers some requests after production did; both answers are compared and counted.

A candidate's answer is never returned. One of other labels than the version that answered is
compared on those that both have, as if there were no others.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from components.fusion import Clip
from serving import metrics
from serving.engine.canary import request_fraction
from serving.engine.classified import Classified
from serving.lineup import Loaded
from serving.settings import TrafficSettings
from serving.triton.errors import TritonError

logger = logging.getLogger(__name__)

Ask = Callable[[Loaded, Sequence[Clip]], Awaitable[Classified]]
"""A model's answers to clips."""

MIN_SHARED = 2
"""Labels: with fewer there is nothing to compare."""


class Shadow:
    """Asks the candidate in the background; requests beyond the limit are left out."""

    def __init__(self, ask: Ask, settings: TrafficSettings) -> None:
        self._ask = ask
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()
        self._noted: tuple[int, int] | None = None

    def follow(
        self, candidate: Loaded, clips: Sequence[Clip], returned: Classified, request_id: str
    ) -> None:
        """Begin to compare its answer with the one that was returned, if the request is in the
        share and not too many are under way."""
        if request_fraction(request_id, "shadow") >= self._settings.shadow_share:
            return
        shared = self._shared(candidate, returned)
        if len(shared) < MIN_SHARED:
            metrics.SHADOW.labels("other_labels", candidate.version).inc(len(clips))
            return
        if len(self._tasks) >= self._settings.shadow_at_once:
            metrics.SHADOW.labels("left_out", candidate.version).inc(len(clips))
            return
        task = asyncio.create_task(self._compare(candidate, clips, returned, shared))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _shared(self, candidate: Loaded, returned: Classified) -> list[str]:
        """The labels that both have; said once of two versions whose labels differ."""
        shared = [label for label in returned.labels if label in candidate.labels]
        versions = (candidate.version, returned.version)
        if {*candidate.labels} != {*returned.labels} and self._noted != versions:
            self._noted = versions
            enough = len(shared) >= MIN_SHARED
            logger.warning(
                "the candidate, version %d, has other labels than version %d: %s", *versions,
                f"they are compared on {', '.join(shared)}" if enough else "they are not compared",
            )  # fmt: skip
        return shared

    async def _compare(
        self,
        candidate: Loaded,
        clips: Sequence[Clip],
        returned: Classified,
        shared: Sequence[str],
    ) -> None:
        try:
            answered = await self._ask(candidate, clips)
        except (TritonError, TimeoutError) as error:
            logger.warning("the candidate, version %d, failed: %s", candidate.version, error)
            metrics.SHADOW.labels("failed", candidate.version).inc(len(clips))
            return
        before, now = (_among(answer, shared) for answer in (returned, answered))
        same = now.argmax(axis=1) == before.argmax(axis=1)
        metrics.SHADOW.labels("same", candidate.version).inc(int(same.sum()))
        metrics.SHADOW.labels("other", candidate.version).inc(int((~same).sum()))
        for difference in np.abs(now - before).max(axis=1):
            metrics.SHADOW_DIFFERENCE.observe(float(difference))

    async def close(self) -> None:
        """Cancel what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _among(answer: Classified, labels: Sequence[str]) -> np.ndarray:
    """The probabilities [n, k] of k labels, as if there were no others."""
    part = answer.probabilities[:, [answer.labels.index(label) for label in labels]]
    return part / np.maximum(part.sum(axis=1, keepdims=True), np.finfo(float).tiny)
