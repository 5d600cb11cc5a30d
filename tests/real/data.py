"""The folder of real speech: where it is, and whether all of it is there."""

import os
from dataclasses import dataclass
from pathlib import Path

from components.base import InputError
from components.conversation import Recording, read_manifest
from components.corpus import read_corpus

VARIABLE = "MOODLINE_REAL_DATA"

WANTED = (
    "a folder with ravdess/ (RAVDESS as conversations in five folds: manifest.jsonl, audio,"
    " reference) and ami/clips/ (half-minutes of AMI meetings: manifest.jsonl, audio, reference,"
    " rttm, truth_words); where there is ami/replay/ (whole meetings' words and speakers, without"
    " sound), alignment is measured on it, too"
)


@dataclass(frozen=True, slots=True)
class RealData:
    """Real speech with what people labelled in it.

    Attributes:
        folder: all of it.
        ravdess: RAVDESS' manifest, whose conversations have emotions and folds.
        ami: AMI's half-minutes; words, speakers, no emotions.
    """

    folder: Path

    @property
    def ravdess(self) -> Path:
        """RAVDESS' conversations, a manifest."""
        return self.folder / "ravdess"

    @property
    def ami(self) -> Path:
        """AMI's half-minutes, a manifest; beside it `rttm` and `truth_words`."""
        return self.folder / "ami" / "clips"

    @property
    def replay(self) -> Path:
        """Whole AMI meetings without sound: words, and who spoke when by published systems."""
        return self.folder / "ami" / "replay"

    @property
    def meetings(self) -> list[Recording]:
        """AMI's half-minutes."""
        return list(read_manifest(self.ami))


def real_data() -> RealData:
    """The folder that the environment names.

    Raises:
        InputError: none is named, it is not there, or a part of it is missing.
    """
    name = os.environ.get(VARIABLE, "")
    if not name:
        raise InputError(f"{VARIABLE} is not set; it names {WANTED}")
    data = RealData(Path(name))
    for folder in (data.folder, data.ravdess, data.ami):
        if not folder.is_dir():
            raise InputError(f"{VARIABLE}={name}: {folder}: no such folder; it takes {WANTED}")
    folds = {recording.fold for recording in read_corpus(data.ravdess)}
    if len(folds) < 3:
        raise InputError(f"{data.ravdess}: has {len(folds)} folds; at least 3 are left out in turn")
    for meeting in data.meetings:
        beside = (f"rttm/{meeting.name}.rttm", f"truth_words/{meeting.name}.json")
        missing = [p for p in (meeting.audio, *(data.ami / n for n in beside)) if not p.is_file()]
        if missing:
            raise InputError(f"{missing[0]}: no such file; {meeting.name} is not whole")
    return data
