"""Feedback as a labelled corpus, for training only."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from components.base import InputError
from components.conversation import FEEDBACK, Recording, Utterance, write_manifest
from components.traffic.audio import kept_audio
from components.traffic.feedback import Feedback, standing


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds.

    Attributes:
        recordings: how many requests' sound.
        turns: labelled turns in them.
        without_audio: labelled turns whose sound was not kept, or is no longer.
    """

    recordings: int
    turns: int
    without_audio: int


def export_feedback(entries: Iterable[Feedback], log: Path, out: Path) -> Exported:
    """Write a corpus with a manifest: the sound that was kept and the labels that stand.

    Every recording's fold is `FEEDBACK`, which is never tested on nor chosen by.

    Args:
        entries: of the store.
        log: the log's folder, where the sound lies.
        out: the corpus' folder, written whole or not at all.

    Raises:
        InputError: there is nothing that could be exported.
    """
    recordings: list[Recording] = []
    labelled = missing = 0
    for _, group in groupby(standing(entries), key=lambda entry: entry.request_id):
        turns = list(group)
        sound = kept_audio(log, asdict(turns[0]))
        labelled += len(turns)
        if sound is None:
            missing += len(turns)
        else:
            recordings.append(_recording(turns, sound))
    if not labelled:
        raise InputError("there is no feedback yet; nothing was exported")
    if not recordings:
        raise InputError(
            f"of none of the {labelled} labelled turns the sound was kept; nothing was exported"
            " (MOODLINE_LOG_AUDIO=true keeps it from now on)"
        )
    write_manifest(out, recordings, take_audio=True)
    return Exported(len(recordings), labelled - missing, missing)


def _recording(turns: list[Feedback], sound: Path) -> Recording:
    name = f"{FEEDBACK}-{turns[0].request_id}"
    utterances = tuple(
        Utterance(
            f"{name}_{turn.turn:04d}",
            name,
            turn.start,
            turn.end,
            f"{name}_{turn.speaker}",
            None,
            "",  # the words are not kept; training transcribes the sound anew
            turn.emotion,
        )
        for turn in sorted(turns, key=lambda turn: turn.start)
    )
    return Recording(name, sound, FEEDBACK, None, utterances)
