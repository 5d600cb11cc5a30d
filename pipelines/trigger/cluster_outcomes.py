"""How runs on a cluster ended, for the metrics of a trigger that does not wait for their end."""

import logging
import threading

from components.base import MoodlineError
from components.config import Settings
from components.conversation import Seconds
from components.register import Outcomes, read_outcomes
from pipelines.runners.outcome_metrics import exposition

logger = logging.getLogger(__name__)

EVERY: Seconds = 60.0
"""How often MLflow is asked."""


class ClusterOutcomes:
    """Asks MLflow how runs ended, in a thread of its own: a scrape does not wait for MLflow.

    Where MLflow does not answer, what it said last stays.
    """

    def __init__(self, settings: Settings, every: Seconds = EVERY) -> None:
        self._settings, self._every = settings, every
        self._known: Outcomes | None = None
        self._away = False
        self._closed = threading.Event()
        threading.Thread(target=self._follow, name="outcomes", daemon=True).start()

    def exposition(self) -> bytes:
        """The gauges as Prometheus reads them; nothing before MLflow has answered once."""
        known = self._known
        return exposition(known.ended, known.checks) if known else b""

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()

    def _follow(self) -> None:
        while not self._closed.is_set():
            try:
                self._known, self._away = read_outcomes(self._settings, self._known), False
            except MoodlineError as error:
                if not self._away:
                    logger.warning("how runs ended is not known now: %s", error)
                self._away = True
            self._closed.wait(self._every)
