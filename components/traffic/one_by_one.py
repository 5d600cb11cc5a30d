"""Work on many files, each by itself: what fails with one keeps no other from being done."""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from components.base import MissingError, MoodlineError, Unavailable, Url

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger(__name__)

AT_ONCE = 16
"""Objects that are worked on side by side."""


class OneByOne:
    """Work on the objects below a root, or on files.

    Args:
        root: of an object store; where that does not answer at all, no further object is tried.
    """

    def __init__(self, root: Url | None = None) -> None:
        self._root = root
        self._faults: list[Exception] = []
        self._away = False

    def each(self, call: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """What the call returns for each item; nothing for one that is gone, or that it fails with.

        Objects are worked on side by side, files one after the other.
        """

        def one(item: T) -> list[R]:
            if self._away:
                return []
            try:
                return [call(item)]
            except (FileNotFoundError, MissingError):  # it has gone meanwhile
                return []
            except (OSError, MoodlineError) as error:
                self._faults.append(error)
            except Exception as error:
                logger.exception("%s: cannot be looked at", item)
                self._faults.append(error)
            self._look_for_the_store()
            return []

        if self._root is None:
            return [result for item in items for result in one(item)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [result for results in pool.map(one, items) for result in results]

    def _look_for_the_store(self) -> None:
        try:
            if self._root is not None and not self._away:
                self._root.is_dir()
        except MoodlineError as error:
            self._away = True
            self._faults.insert(0, error)

    def tell(self) -> None:
        """Say what failed, after all that could be done is done.

        Raises:
            Unavailable: the first fault, and how many there were.
        """
        if self._faults:
            first, more = self._faults[0], len(self._faults) - 1
            others = f" (and {more} more such faults)" if more else ""
            raise Unavailable(f"{first or type(first).__name__}{others}") from first
