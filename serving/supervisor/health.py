"""What is wrong with a version on a Triton, told by real questions: Triton itself goes on saying
that a model is ready whose process has died."""

from components.conversation import Seconds
from serving.errors import NotReadyError
from serving.triton.control import Golden, TritonControl
from serving.triton.errors import TritonError, TritonFullError, TritonLateError

QUESTION: Seconds = 5.0
"""The longest that the answer to one question may take."""

SHORT_QUESTION: Seconds = 1.0
"""The same, where a process is known to have died."""

STUCK = 4
"""So many questions in a row without an answer in time, and nobody else answered: it hangs."""


class Troubles:
    """Asks, and remembers who was late before.

    Args:
        instances: processes of each version, any of which may be the one that died.
    """

    def __init__(self, instances: int) -> None:
        self._instances = instances
        self._late: dict[tuple[str, int], tuple[int, int]] = {}

    def of(self, version: int, control: TritonControl, golden: list[Golden], *, died: bool) -> str:
        """What is wrong with a version; empty if it answers rightly, or is only busy.

        Args:
            version: the registry's number.
            control: of the Triton that is asked.
            golden: the version's clips with their answers.
            died: whether a process is known to have died: what waits for it waits for long.

        Raises:
            NotReadyError: Triton went away meanwhile.
        """
        shortest = min(golden, key=lambda golden: len(golden.audio))
        for _ in range(self._instances):
            try:
                control.check(version, shortest, timeout=SHORT_QUESTION if died else QUESTION)
            except TritonFullError:
                return ""
            except TritonLateError as error:
                return str(error) if died else self._hangs(version, control, str(error))
            except (TritonError, NotReadyError) as error:
                return str(error)
        self._late.pop((control.url, version), None)
        return ""

    def _hangs(self, version: int, control: TritonControl, why: str) -> str:
        """A late answer is trouble once nobody else gets one either."""
        key, answered = (control.url, version), control.statistics(version).answered
        times, before = self._late.get(key, (0, answered))
        times = times + 1 if answered == before else 1
        self._late[key] = (times, answered)
        if times < STUCK:
            return ""
        del self._late[key]
        return why
