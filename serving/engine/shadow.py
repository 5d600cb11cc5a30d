"""The candidate answers some requests after production did; both answers are compared and counted.

A candidate's answer is never returned.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from components.fusion import Clip
from serving import metrics
from serving.engine.canary import request_fraction
from serving.lineup import Loaded
from serving.settings import TrafficSettings
from serving.triton.errors import TritonError

logger = logging.getLogger(__name__)

Ask = Callable[[Loaded, Sequence[Clip]], Awaitable[np.ndarray]]
"""A model's probabilities [n, 4] for clips."""


class Shadow:
    """Asks the candidate in the background; requests beyond the limit are left out."""

    def __init__(self, ask: Ask, settings: TrafficSettings) -> None:
        self._ask = ask
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(
        self, candidate: Loaded, clips: Sequence[Clip], returned: np.ndarray, request_id: str
    ) -> None:
        """Begin to compare its answer with the probabilities [n, 4] that were returned, if the
        request is in the share and not too many are under way."""
        if request_fraction(request_id, "shadow") >= self._settings.shadow_share:
            return
        if len(self._tasks) >= self._settings.shadow_at_once:
            metrics.SHADOW.labels("left_out", candidate.version).inc(len(clips))
            return
        task = asyncio.create_task(self._compare(candidate, clips, returned))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _compare(
        self, candidate: Loaded, clips: Sequence[Clip], returned: np.ndarray
    ) -> None:
        try:
            answered = await self._ask(candidate, clips)
        except (TritonError, TimeoutError) as error:
            logger.warning("the candidate, version %d, failed: %s", candidate.version, error)
            metrics.SHADOW.labels("failed", candidate.version).inc(len(clips))
            return
        same = answered.argmax(axis=1) == returned.argmax(axis=1)
        metrics.SHADOW.labels("same", candidate.version).inc(int(same.sum()))
        metrics.SHADOW.labels("other", candidate.version).inc(int((~same).sum()))
        for difference in np.abs(answered - returned).max(axis=1):
            metrics.SHADOW_DIFFERENCE.observe(float(difference))

    async def close(self) -> None:
        """Cancel what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
