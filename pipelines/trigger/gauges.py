"""The gauges of drift and of retrainings, which end before Prometheus could ask them."""

import logging
import threading
from pathlib import Path

from components.base import Location, MoodlineError, files_in
from components.conversation import Seconds

logger = logging.getLogger(__name__)

EVERY: Seconds = 30.0
"""How often a store is asked."""

Files = list[tuple[str, bytes]]
"""Files of gauges by name, and what is in each."""


def gauge_files(place: Location) -> Files:
    """The `.prom` files in a folder.

    Raises:
        InputError, Unavailable: of an object store; see `Url`.
    """
    if isinstance(place, Path) and not place.is_dir():
        return []
    files = [file for file in files_in(place) if file.suffix == ".prom"]
    return [(file.name, file.read_bytes()) for file in files]


class Gauges:
    """The files of gauges. Those of an object store are read in a thread of its own: a scrape does
    not wait for the store, which may be silent for longer than Prometheus waits.

    Where the store does not answer, what it said last stays.

    Args:
        place: the folder that holds them.
        every: how often a store is asked.
    """

    def __init__(self, place: Location, every: Seconds = EVERY) -> None:
        self._place, self._every = place, every
        self._known: Files = []
        self._away = False
        self._closed = threading.Event()
        self._here = isinstance(place, Path)
        if not self._here:
            threading.Thread(target=self._follow, name="gauges", daemon=True).start()

    def files(self) -> Files:
        """The files; none before a store has answered once."""
        return gauge_files(self._place) if self._here else self._known

    def close(self) -> None:
        """Ask the store no more."""
        self._closed.set()

    def _follow(self) -> None:
        while not self._closed.is_set():
            try:
                self._known, self._away = gauge_files(self._place), False
            except MoodlineError as error:
                if not self._away:
                    logger.warning("the gauges of drift cannot be read now: %s", error)
                self._away = True
            self._closed.wait(self._every)
