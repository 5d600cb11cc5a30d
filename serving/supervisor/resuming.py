"""What a copy that begins to steer goes on with: what another one, or it before, left on Triton."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from components.base import InputError
from components.conversation import Seconds
from serving.errors import NotReadyError
from serving.supervisor.fleet import Fleet
from serving.supervisor.states import RolloutVersion, State
from serving.supervisor.version_files import VersionFiles
from serving.triton.control import Golden, TritonControl
from serving.triton.errors import TritonError

logger = logging.getLogger(__name__)


def answers(fleet: Fleet, golden: Mapping[int, Sequence[Golden]]) -> bool:
    """Whether at least one Triton answers for all these versions.

    Raises:
        NotReadyError: no Triton is there.
    """
    return any(
        not any(fleet.failure(control, v, clips) for v, clips in golden.items())
        for control in fleet.present()
    )


def left_draining(
    fleet: Fleet, files: VersionFiles, known: Collection[int], seconds: Seconds
) -> dict[int, RolloutVersion]:
    """The versions that Tritons hold beyond those known: they were taken out of service, and
    services that have not seen it yet still ask them. When they were to be unloaded nobody knows,
    so they drain anew.

    One that fails its golden clips is left out: a copy that was killed may have left it half
    loaded.

    Args:
        known: that are served, desired (those are proven first) or refused.
        seconds: how long a version drains.

    Raises:
        NotReadyError: no Triton is there.
    """
    held: dict[int, list[TritonControl]] = {}
    for control in fleet.present():
        with suppress(NotReadyError):  # it has just gone away
            for number in set(control.versions()) - set(known):
                held.setdefault(number, []).append(control)
    draining, until = {}, time.monotonic() + seconds
    for number, controls in held.items():
        try:
            golden = files.restore_fetched(number)
            for control in controls:
                control.prove(number, golden)
        except (InputError, NotReadyError, TritonError) as error:
            logger.warning("version %d is unloaded at once: %s", number, error)
            continue
        logger.info("version %d goes on draining", number)
        draining[number] = RolloutVersion(State.DRAINING, golden, unload_at=until)
    return draining
