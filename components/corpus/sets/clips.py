"""What a published set of clips holds, as the functions that read its layout tell it."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from components.base import InputError
from components.conversation import AUDIO_SUFFIX, Seconds

SAME_AS = {
    "anger": "angry",
    "boredom": "bored",
    "disgusted": "disgust",
    "fear": "fearful",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprise": "surprised",
}
"""Words of different sets for one emotion, so that one `label_map` fits them all."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording of one utterance.

    Attributes:
        name: one word; names the recording and the utterance.
        audio: its file; a film's sound is read as it is.
        speaker: who says it, as the set names them.
        sex: "F", "M" or None where not known.
        text: what is said; "" where not known.
        label: the emotion in the set's own word or code.
        fold: what is held out together.
        language: ISO 639-1, or "unknown".
        scripted: read or acted from a script (True), free speech (False), not known (None).
        columns: what else the set says of it.
    """

    name: str
    audio: Path
    speaker: str
    sex: str | None
    text: str
    label: str
    emotion: str
    fold: str
    language: str
    scripted: bool | None = True
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Listing:
    """What lies in a set's folder.

    Attributes:
        missing: files that the set has and the folder lacks, as far as their names are known.
        lacking: how many are missing, those without a known name among them.
        misnamed: files of sound that are not named as the set's are.
        notes: what was left out or is not known, a line each.
    """

    clips: list[Clip] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    lacking: int = 0
    misnamed: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def expect(self, names: Iterable[str], present: Iterable[str], total: int = 0) -> None:
        """Count what is missing.

        Args:
            names: of the files that the set has, as far as known.
            present: those of them that are there.
            total: of the set's files; 0: those of `names`.
        """
        there = set(present)
        self.missing += [name for name in names if name not in there]
        self.lacking = max(len(self.missing), self.lacking, total - len(self.clips))


@dataclass(frozen=True, slots=True)
class ClipSet:
    """A published set.

    Attributes:
        title: as its authors write it.
        licence: of its sound; "unknown" where they name none.
        example: a file's name in its folder, for messages.
        read: lists what lies in its folder; raises InputError where a table of it has a fault.
        licences: of sets within it, by name; they go before `licence`.
        shortest: clips under this length hold no speech.
    """

    title: str
    licence: str
    example: str
    read: Callable[[Path], Listing]
    licences: Mapping[str, str] = field(default_factory=dict)
    shortest: Seconds = 0.1


def emotion_of(label: str) -> str:
    """A set's word for an emotion in small letters, and the same word in every set.

    >>> [emotion_of(word) for word in ("Angry", "joy", "Surprise", "calm", "No-agreement")]
    ['angry', 'happy', 'surprised', 'calm', 'no-agreement']
    """
    word = "-".join(label.lower().split())
    return SAME_AS.get(word, word)


def sex_of(word: str) -> str | None:
    """ "F" or "M" of a table's word; None of any other.

    >>> sex_of("female"), sex_of("Male"), sex_of("Unknown")
    ('F', 'M', None)
    """
    return {"f": "F", "m": "M"}.get(word.strip().lower()[:1])


def sound_files(folder: Path) -> list[Path]:
    """The files of sound and films in a folder and the folders in it, by path; hidden ones not."""
    return sorted(
        path
        for path in folder.rglob("*")
        if AUDIO_SUFFIX.search(path.name)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def once_each(files: Iterable[Path], notes: list[str]) -> dict[str, Path]:
    """Files by their stem, each once: some archives hold every clip twice, or as WAV and MP3.

    Raises:
        InputError: two of one name and kind differ in size.
    """
    chosen: dict[str, Path] = {}
    twice = 0
    for path in files:
        other = chosen.get(path.stem)
        if other is None:
            chosen[path.stem] = path
            continue
        twice += 1
        if path.suffix == other.suffix:
            if path.stat().st_size != other.stat().st_size:
                raise InputError(f"{path}: is another file than {other}; keep one of them")
        elif path.suffix.lower() == ".wav":
            chosen[path.stem] = path
    if twice:
        notes.append(f"{twice} files are there twice, and are read once")
    return chosen


def find_below(folder: Path, *names: str, depth: int = 3) -> Path | None:
    """The first file or folder of one of some names, the uppermost before those in folders."""
    for level in range(depth):
        for name in names:
            if matches := sorted(folder.glob("*/" * level + name)):
                return matches[0]
    return None


class _Tabs(csv.excel_tab):
    """Between tabs a quotation mark is a part of the text."""

    quoting = csv.QUOTE_NONE


def read_table(
    path: Path, columns: Iterable[str], delimiter: str = ","
) -> Iterator[dict[str, str]]:
    """The rows of a CSV or TSV file, values without spaces around them.

    Raises:
        InputError: not UTF-8, or it lacks a column; with the file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not a text file in UTF-8: {error}") from None
    dialect = _Tabs if delimiter == "\t" else csv.excel
    rows = csv.DictReader(StringIO(text, newline=""), dialect=dialect)
    for column in columns:
        if column not in (rows.fieldnames or ()):
            raise InputError(f"{path}: lacks the column {column}; take the set's own file")
    for row in rows:
        yield {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}
