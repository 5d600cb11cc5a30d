"""A published set of clips to a manifest beside its untouched sound."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from components.base import InputError
from components.conversation import (
    SAMPLE_RATE,
    Progress,
    Recording,
    Seconds,
    Utterance,
    read_audio,
    stated_duration,
    write_clips,
)
from components.corpus.check import is_silent
from components.corpus.sets.catalogue import SETS
from components.corpus.sets.clips import Clip, ClipSet, Listing


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import wrote.

    Attributes:
        manifest: the file.
        recordings: how many.
        notes: what was left out or is not known, a line each.
    """

    manifest: Path
    recordings: int
    notes: tuple[str, ...]


def import_set(
    name: str, folder: Path, out: Path, *, partial: bool = False, listen: bool = False,
    progress: Progress | None = None,
) -> Imported:  # fmt: skip
    """Write a manifest of a set; its sound stays where it is, and is not decoded.

    Args:
        name: of `SETS`.
        folder: the set as it is distributed, unpacked.
        out: a new folder for `manifest.jsonl`, or the manifest itself (`….jsonl`).
        partial: take what is there and can be read; else a missing or bad file ends the import.
        listen: decode each clip, so that damaged and silent ones are known now.
        progress: called after each clip.

    Raises:
        InputError: no such set, it is not in the folder, files are missing or not named as its
            are, a clip cannot be read or is too short or silent, or `out` is there already.
    """
    if name not in SETS:
        raise InputError(f"{name}: no such set; there are {', '.join(SETS)}")
    if os.path.lexists(out):
        raise InputError(f"{out}: is there already; name a new folder, or remove it")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    kind = SETS[name]
    listing = kind.read(folder)
    notes = [*_checked(listing, kind, folder, partial), *listing.notes]
    manifest = out if out.suffix == ".jsonl" else out / "manifest.jsonl"
    bad: list[str] = []
    measure = _heard if listen else stated_duration
    recordings = _recordings(listing.clips, name, kind, measure, bad if partial else None, progress)
    try:
        count = write_clips(manifest, recordings)
    except BaseException:
        with suppress(OSError):  # it was made for the manifest
            manifest.parent.rmdir()
        raise
    notes += [f"left out: {line}" for line in bad]
    return Imported(manifest, count, tuple(notes))


def _checked(listing: Listing, kind: ClipSet, folder: Path, partial: bool) -> Iterator[str]:
    """What is wrong with a folder, as notes where that is accepted.

    Raises:
        InputError: it is not.
    """
    if not listing.clips:
        first = f" ({listing.misnamed[0]} is none)" if listing.misnamed else ""
        lost = f"; {listing.missing[0]} is missing" if listing.missing and not first else ""
        raise InputError(
            f"{folder}: holds no clip of {kind.title}{first}{lost}; name the folder with"
            f" {kind.example}"
        )
    faults = []
    if listing.misnamed:
        path, more = listing.misnamed[0], len(listing.misnamed) - 1
        others = f", and {more:,} more" if more else ""
        faults.append(f"{path}: is not named as {kind.title}'s clips are ({kind.example}){others}")
    if listing.lacking:
        example = f", {listing.missing[0]} for one" if listing.missing else ""
        total = len(listing.clips) + listing.lacking
        faults.append(
            f"{folder}: lacks {listing.lacking:,} of {kind.title}'s {total:,} files{example}"
        )
    if faults and not partial:
        raise InputError(f"{faults[0]}; complete the folder, or take what is there with --partial")
    yield from faults


def _recordings(
    clips: list[Clip], name: str, kind: ClipSet, measure: Callable[[Path], Seconds],
    bad: list[str] | None, progress: Progress | None,
) -> Iterator[Recording]:  # fmt: skip
    """Each clip as a recording; `bad`, if it is a list, gets a line for each unreadable one."""
    names: dict[str, Path] = {}
    for number, clip in enumerate(clips, start=1):
        if clip.name in names:
            raise InputError(f"{clip.audio} and {names[clip.name]}: both are named {clip.name}")
        names[clip.name] = clip.audio
        try:
            seconds = measure(clip.audio)
            if seconds < kind.shortest:
                raise InputError(f"{clip.audio}: holds no speech: it lasts {seconds:.3f} s")
        except InputError as error:
            if bad is None:
                raise InputError(f"{error}; leave such clips out with --partial") from None
            bad.append(str(error))
        else:
            yield _recording(clip, name, kind, seconds)
        if progress:
            progress(number, len(clips))


def _recording(clip: Clip, name: str, kind: ClipSet, seconds: Seconds) -> Recording:
    utterance = Utterance(
        clip.name, clip.name, 0.0, round(seconds, 6), clip.speaker, clip.sex, clip.text,
        clip.emotion,
    )  # fmt: skip
    part = clip.columns.get("set", name)
    columns = {
        "set": part,
        "language": clip.language,
        "licence": kind.licences.get(part, kind.licence),
        "label": clip.label,
        **clip.columns,
    }
    return Recording(
        clip.name, clip.audio, clip.fold, clip.scripted, (utterance,), tuple(columns.items())
    )


def _heard(audio: Path) -> Seconds:
    """The length of a clip that is read to its end.

    Raises:
        InputError: it cannot be read, or is silent.
    """
    samples = read_audio(audio)
    if is_silent(samples):
        raise InputError(f"{audio}: holds no speech: no sample is louder than −60 dB")
    return len(samples) / SAMPLE_RATE
