"""Erases a recording: for `DELETE /v1/recordings/{name}` and for `moodline log erase`.

    the store            its jobs, with their results and their uploads
    the prediction log   its turns, sound and feedback
    retraining           the copies that it made on its own

What is under way is erased, too: a job stops, and an analysis leaves nothing.
"""

from dataclasses import dataclass

from components.conversation import recording_names
from components.traffic import (
    Copies,
    KeyMissingError,
    TurnLog,
    known_key,
    owner_id,
    recording_id,
)
from components.traffic.turn_log import ErasedTurns
from serving.api.job_store import JobStore
from serving.api.uploads import UploadFolder


@dataclass(frozen=True, slots=True)
class Erased:
    """What there was of a recording.

    Attributes:
        recordings: as they stand in the log: one for each name that it may have had.
        jobs: their ids.
        turns: of the prediction log.
        copies: files that retraining had made.
    """

    recordings: tuple[str, ...]
    jobs: tuple[str, ...]
    turns: ErasedTurns
    copies: int

    def __bool__(self) -> bool:
        turns = self.turns
        found = (turns.logged, turns.feedback, turns.under_way, self.copies)
        return bool(self.jobs) or any(found)

    def counts(self) -> dict[str, int]:
        """How much there was, as the service and the command line tell it."""
        turns = self.turns
        return {
            "jobs": len(self.jobs),
            "logged": turns.logged,
            "feedback": turns.feedback,
            "under_way": turns.under_way,
            "copies": self.copies,
        }


def erase_recording(
    name: str,
    owner: str,
    log: TurnLog,
    store: JobStore,
    uploads: UploadFolder,
    copies: Copies,
) -> Erased:
    """Erase all that is kept of a recording. It blocks: call it in a thread.

    Args:
        name: the turns' `session_id`, the name of the file that was sent, or the id of a request
            with clips.
        owner: the name of the API key that it was sent with; "" where none was needed.

    Raises:
        KeyMissingError: the log holds recordings, and not the key to their names.
        Unavailable: a database, or the object store, does not answer; ask again, until all is
            erased. Where single copies or artifacts cannot be changed, all else is erased.
    """
    key = known_key(log.folder)
    if key is None and not log.is_empty():
        raise KeyMissingError(log.folder)
    names = recording_names(name)
    turns, changed, recordings = ErasedTurns(0, 0, 0), 0, []
    # The jobs first: one that goes on is stopped before it could be logged.
    jobs = [job for known in names for job in store.erase(owner, known)]
    for job in jobs:
        uploads.delete(job)
    if key is not None:
        recordings = [recording_id(f"{owner}/{known}", key) for known in names]
        recordings += sorted(log.clips(name, owner_id(owner, key)) - {*recordings})
        # Copies are known by the requests that the log still has: those are noted before it forgets
        # them. No fault of a copy, or of another team's file beside it, keeps a turn.
        requests = log.requests(recordings)
        copies.note(requests, recordings)
        turns = log.erase(recordings)
        changed = copies.erase(requests, recordings)
    return Erased(tuple(recordings), tuple(jobs), turns, changed)
