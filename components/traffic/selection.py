"""Which labelled turns are trained on: those that stand, are not held, and whose sound was kept."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from datetime import datetime
from itertools import chain, groupby
from typing import Any

from components.base import InputError, Location, json_digest
from components.conversation import FEEDBACK, Recording, Utterance
from components.traffic.audio import audio_path, kept_files
from components.traffic.copies import mixed_name
from components.traffic.entries import Feedback, standing
from components.traffic.review import turning_points, without_held


@dataclass(frozen=True, slots=True)
class Selected:
    """The labelled turns that are trained on.

    Attributes:
        recordings: one for each answer, of the fold `FEEDBACK`; their sound lies in the log.
        sources: who gave each label, and the log's name of each recording, as in `SOURCES`.
        turns: labelled ones in them.
        without_audio: labelled turns whose sound was not kept, or is no longer.
        held: entries that wait for a person (see `components.traffic.review`).
        until: when the last of the labels was given; None where there are none.
    """

    recordings: tuple[Recording, ...]
    sources: dict[str, dict[str, Any]]
    turns: int
    without_audio: int
    held: int
    until: datetime | None = None

    @property
    def digest(self) -> str:
        """Of labels and who gave them; "" where there are none. An answer's sound never changes."""
        if not self.recordings:
            return ""
        labels = [[r.name, [astuple(u) for u in r.utterances]] for r in self.recordings]
        return json_digest([sorted(labels), self.sources])

    def why_none(self) -> str:
        """Why there is nothing to train on, in words."""
        if self.without_audio:
            return (
                f"of none of the {self.without_audio} labelled turns the sound was kept"
                " (MOODLINE_LOG_AUDIO=true keeps it from now on)"
            )
        if self.held:
            return (
                f"all feedback is held for a person ({self.held} entries; see `moodline feedback"
                " review`)"
            )
        return "there is no feedback yet"


def select_feedback(entries: Iterable[Feedback], log: Location, *, limit: float = 1.0) -> Selected:
    """Choose the labelled turns that are trained on.

    Args:
        log: the log's folder or URL, where the sound lies.
        limit: the share of a key's labels that may contradict the model; beyond it they are held.

    Raises:
        Unavailable: the object store does not answer.
    """
    return _select(list(entries), log, set(kept_files(log)), limit)


def selected_before(
    digest: str,
    until: datetime,
    entries: Iterable[Feedback],
    log: Location,
    *,
    limit: float = 1.0,
) -> Selected:
    """As `select_feedback`, of the entries that there were when the selection had this digest.

    People go on correcting while a run goes on: what they said since is left out. What was given
    after the selection's last label and is no part of it can have decided one thing only: whose
    labels were held. So few moments are looked at, however much was said since.

    Args:
        until: the selection's own.

    Raises:
        InputError: it had none since: feedback was dropped, held or accepted, sound was erased or
            has become too old.
    """
    kept, sound = sorted(entries, key=lambda entry: entry.given), set(kept_files(log))
    for moment in chain([until], turning_points(kept, until, limit)):
        there = kept[: bisect_right(kept, moment, key=lambda entry: entry.given)]
        chosen = _select(there, log, sound, limit)
        if chosen.digest == digest:
            return chosen
    raise InputError(
        "the feedback that this run began with is not there any more (it was dropped, reviewed or"
        " erased, or its sound has become too old); start it again"
    )


def _select(entries: list[Feedback], log: Location, sound: set[Location], limit: float) -> Selected:
    free = without_held(entries, limit)
    recordings: list[Recording] = []
    sources: dict[str, dict[str, Any]] = {}
    given: list[datetime] = []
    labelled = missing = 0
    for turns, name in _by_answer(standing(free)):
        first = turns[0]
        path = audio_path(log, first.recording, first.request_id, first.time)
        labelled += len(turns)
        if path not in sound or name is None:
            missing += len(turns)
            continue
        recordings.append(_recording(name, turns, path))
        given += [turn.given for turn in turns]
        labels = {_utterance_id(name, turn): turn.origin for turn in turns}
        time = first.time.isoformat()
        sources[name] = {"recording": first.recording, "labels": labels, "time": time}
    return Selected(
        tuple(recordings), sources, labelled - missing, missing, len(entries) - len(free),
        max(given, default=None),
    )  # fmt: skip


def _by_answer(entries: Iterable[Feedback]) -> Iterator[tuple[list[Feedback], str | None]]:
    """The entries on each answer, with the name of its recording in the export.

    Version 0.1 knew a request by its sender's id. Of two answers to one id about one recording only
    the later one's sound is there: the earlier one has no name.
    """
    answers = [list(g) for _, g in groupby(entries, key=lambda e: e.answered[:3])]
    recordings: dict[str, set[str]] = {}
    latest: dict[tuple[str, str], datetime] = {}
    for turns in answers:
        request_id, recording, time, _ = turns[0].answered
        recordings.setdefault(request_id, set()).add(recording)
        latest[request_id, recording] = time  # they are in order of time
    for turns in answers:
        request_id, recording, time, _ = turns[0].answered
        name = f"{FEEDBACK}-{request_id}"
        if len(recordings[request_id]) > 1:
            name = mixed_name(request_id, recording)
        yield turns, name if time == latest[request_id, recording] else None


def _utterance_id(name: str, turn: Feedback) -> str:
    return f"{name}_{turn.turn:04d}"


def _recording(name: str, turns: list[Feedback], sound: Location) -> Recording:
    utterances = tuple(
        Utterance(
            id=_utterance_id(name, turn),
            recording=name,
            start=turn.start,
            end=turn.end,
            speaker=f"{name}_{turn.speaker}",
            sex=None,
            text="",  # the words are not kept; training transcribes the sound anew
            emotion=turn.emotion,
        )
        for turn in sorted(turns, key=lambda turn: turn.start)
    )
    return Recording(name=name, audio=sound, fold=FEEDBACK, scripted=None, utterances=utterances)
