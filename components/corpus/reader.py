"""Reads a labelled corpus in either form."""

from dataclasses import replace

from components.base import Cache, InputError, Location, located
from components.config import LabelStep
from components.conversation import FEEDBACK, Recording, Seconds, audio_duration, read_manifest
from components.corpus.findings import overlap_line, self_overlaps
from components.corpus.iemocap import is_iemocap, read_iemocap
from components.corpus.labels import with_labels

MAX_OVERHANG: Seconds = 0.5
"""How far an utterance may end after its recording does; it is cut back to the recording's end."""


def read_corpus(
    folder: Location | str, cache: Cache | None = None, labels: LabelStep | None = None
) -> list[Recording]:
    """Read a corpus: IEMOCAP's layout, or a manifest.

    Args:
        folder: holds `manifest.jsonl`, or `Session1`, `Session2`, …; a path or an URL.
        cache: keeps how long recordings are.
        labels: what the profile makes of the names in the data; None: they stay as they are, but
            for IEMOCAP's, which are those of the paper.

    Returns:
        The recordings, every utterance of them inside its recording's sound.

    Raises:
        InputError: neither is there, or what is there has a fault; see `read_iemocap` and
            `components.conversation.read_manifest`. A manifest also must have an utterance in each
            recording, a name for each fold, and no overlap between utterances of one speaker,
            except in feedback from traffic; and no label that the profile does not know.
        Unavailable: the object store does not answer.
    """
    folder = located(folder)
    if is_manifest(folder):
        read = [_labelled(recording) for recording in read_manifest(folder)]
        named = read if labels is None else with_labels(read, labels)
        return [_one_voice_each(inside_its_sound(recording, cache)) for recording in named]
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if is_iemocap(folder):
        return [inside_its_sound(r, cache) for r in read_iemocap(folder, labels)]
    raise InputError(
        f"{folder}: is no corpus: it has neither manifest.jsonl nor Session1, Session2, …"
    )


def is_manifest(folder: Location) -> bool:
    """Whether a corpus is a manifest: the file itself, or a folder that has one."""
    return folder.suffix == ".jsonl" or (folder / "manifest.jsonl").is_file()


def _labelled(recording: Recording) -> Recording:
    if not recording.utterances:
        raise InputError(
            f"{recording.name}: its reference names no utterance; label one, or leave it out"
        )
    if not recording.fold.strip():
        raise InputError(f"{recording.name}: its fold has no name; name what is held out together")
    return recording


def _one_voice_each(recording: Recording) -> Recording:
    if recording.fold == FEEDBACK:
        return recording  # made of Moodline's own turns, which may overlap; never scored
    for pair in self_overlaps(recording):
        raise InputError(f"{recording.name}: {overlap_line(*pair)}; correct their times")
    return recording


def inside_its_sound(recording: Recording, cache: Cache | None) -> Recording:
    """A recording whose utterances end with its sound.

    Raises:
        InputError: an utterance lies outside it, or the sound cannot be read.
    """
    try:
        length = audio_duration(recording.audio, cache)
    except InputError as error:
        raise InputError(f"recording {recording.name}: {error}") from None
    for utterance in recording.utterances:
        if not 0 <= utterance.start < length or utterance.end > length + MAX_OVERHANG:
            raise InputError(
                f"{recording.audio}: lasts {length:.2f} s, but utterance {utterance.id} is marked"
                f" at {utterance.start:.2f}–{utterance.end:.2f} s; is it another recording's sound?"
            )
    within = (replace(u, end=min(u.end, length)) for u in recording.utterances)
    return replace(recording, utterances=tuple(within))
