"""A corpus in the layout that IEMOCAP is distributed in.

    Session1/dialog/wav/Ses01F_impro01.wav              the sound; FLAC and Ogg are read too
    Session1/dialog/transcriptions/Ses01F_impro01.txt   the words
    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt    the emotions, summed over the raters

    about.json          optional: {"set": "mine", "language": "en", "licence": "CC BY 4.0"}

Only these files are read: macOS's `._` companions and the raters' own folders are not.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace

from pydantic import BaseModel

from components.base import (
    InputError,
    Location,
    MissingError,
    Name,
    files_in,
    folders_in,
    read_json,
    validate,
)
from components.config import LabelStep
from components.conversation import Recording, Seconds, Utterance

LABELS = {
    "ang": "angry",
    "hap": "happy",
    "exc": "happy",
    "neu": "neutral",
    "sad": "sad",
    "fru": "frustrated",
    "sur": "surprised",
    "fea": "fearful",
    "dis": "disgusted",
    "oth": "other",
    "xxx": "undecided",
}
"""What IEMOCAP's labels stand for, as in the paper: excited counts as happy. `xxx` is where the
raters disagree."""

EXCITED = "excited"
"""What `exc` is called where a profile lists or maps it."""

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg")

_SESSION = re.compile(r"Session\d+")
_NAME = re.compile(r"Ses(?P<session>\d+)[FM]_(?P<scene>impro|script)\w+")
_TURN = re.compile(r"(?P<recording>\w+)_(?P<sex>[FM])(?:XX)?\w?\d+")
_UNLABELLED = re.compile(r"_[FM]XX\w*")  # spoken, but shown to no rater: Ses03F_impro05_MXX0
_SPOKEN = re.compile(
    r"(?P<id>\S+)\s+\[\s*(?P<start>-?[\d.]+)\s*-\s*(?P<end>-?[\d.]+)\s*\]:(?P<text>.*)"
)
_EVENT = re.compile(r"\[[A-Z_]+\]")  # a sound, not a word: [LAUGHTER]
_LABELLED = re.compile(
    r"\[\s*(?P<start>-?[\d.]+)\s*-\s*(?P<end>-?[\d.]+)\s*\]\s+(?P<id>\S+)\s+(?P<label>\S+)"
    r"\s+\[[^\]]*\]"
)
_RATER = re.compile(r"[CA]-\w+:")

log = logging.getLogger(__name__)


def is_iemocap(folder: Location) -> bool:
    """Whether a folder has sessions in it."""
    return bool(_sessions(folder))


def read_iemocap(folder: Location, labels: LabelStep | None = None) -> list[Recording]:
    """Read every dialogue of every session.

    Args:
        labels: a profile's; it may list or map IEMOCAP's codes (`exc`), and the names that they
            stand for (`excited`, `frustrated`). The rest is as in `LABELS`.

    Returns:
        The recordings, by session and name, their utterances by time, which is EmoEvaluation's.

    Raises:
        InputError: a file that is missing or an audio file without labels, a line that is none of
            the format's, a label unknown, an end before its start, an utterance named twice or
            without text; with the file and, where there is one, the line.
    """
    recordings: list[Recording] = []
    seen: dict[str, Location] = {}
    about = _about(folder)
    for session in _sessions(folder):
        for audio in _audio_files(session):
            recording = _recording(session, audio, labels)
            evaluation = session / "dialog" / "EmoEvaluation" / f"{audio.stem}.txt"
            for utterance in recording.utterances:
                if utterance.id in seen:
                    raise InputError(
                        f"{evaluation}: utterance {utterance.id} is also in {seen[utterance.id]};"
                        " names must be unique"
                    )
                seen[utterance.id] = evaluation
            recordings.append(replace(recording, columns=about))
    return recordings


class _About(BaseModel):
    """What holds for all recordings: IEMOCAP's own, unless `about.json` says otherwise."""

    set: Name = "iemocap"
    language: Name = "en"
    licence: Name = "research only"


def _about(folder: Location) -> tuple[tuple[str, str], ...]:
    path = folder / "about.json"
    content = read_json(path) if path.is_file() else {}
    about = validate(_About, content, str(path))
    return tuple(about.model_dump().items())


def _sessions(folder: Location) -> list[Location]:
    sessions = [p for p in folders_in(folder) if _SESSION.fullmatch(p.name)]
    return sorted(sessions, key=lambda p: int(p.name.removeprefix("Session")))


def _files(folder: Location, suffixes: tuple[str, ...]) -> list[Location]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; IEMOCAP's layout has one in each session")
    return [
        path
        for path in files_in(folder)
        if not path.name.startswith(".") and path.suffix.lower() in suffixes
    ]


def _audio_files(session: Location) -> list[Location]:
    dialog = session / "dialog"
    audio = _files(dialog / "wav", AUDIO_SUFFIXES)
    if not audio:
        raise InputError(f"{dialog / 'wav'}: holds no audio file ({', '.join(AUDIO_SUFFIXES)})")
    stems = [path.stem for path in audio]
    for path in audio:
        if stems.count(path.stem) > 1:
            raise InputError(f"{path}: the dialogue has two audio files; keep one of them")
    # Listing both kinds of text also finds a folder that is missing.
    for kind in ("EmoEvaluation", "transcriptions"):
        for text in _files(dialog / kind, (".txt",)):
            if text.stem not in stems:
                raise InputError(
                    f"{dialog / 'wav' / text.stem}.wav: no such audio file, but {text} is there"
                )
    return audio


def _recording(session: Location, audio: Location, labels: LabelStep | None) -> Recording:
    name = audio.stem
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise InputError(
            f"{audio}: is not named as IEMOCAP's dialogues are (Ses01F_impro01, Ses01F_script01_1)"
        )
    evaluation = session / "dialog" / "EmoEvaluation" / f"{name}.txt"
    transcript = session / "dialog" / "transcriptions" / f"{name}.txt"
    texts = _texts(transcript)
    utterances: dict[str, Utterance] = {}
    for location, line in _lines(evaluation, "EmoEvaluation file"):
        if line.startswith("%") or _RATER.match(line):
            continue
        match = _LABELLED.fullmatch(line)
        if match is None:
            raise InputError(
                f"{location}: is not a line of an EmoEvaluation file"
                f" ([6.2901 - 8.2357] name neu [2.5, 2.5, 2.5]): {line[:60]!r}"
            )
        start, end = _span(match, location)
        id_, label = match["id"], match["label"].lower()
        if label not in LABELS:
            known = ", ".join(LABELS)
            raise InputError(f"{location}: unknown label {match['label']!r}; known: {known}")
        if id_ in utterances:
            raise InputError(f"{location}: {id_} is labelled twice; remove one of them")
        turn = _TURN.fullmatch(id_)
        if turn is None:
            raise InputError(f"{location}: {id_} is not an utterance's name (Ses01F_impro01_F000)")
        if id_ not in texts:
            raise InputError(f"{transcript}: has no line for {id_}, which {evaluation.name} labels")
        utterances[id_] = Utterance(
            id=id_,
            recording=name,
            start=start,
            end=end,
            speaker=f"Ses{parts['session']}_{turn['sex']}",
            sex=turn["sex"],
            text=texts[id_],
            emotion=_meaning(label, labels),
        )
    if not utterances:
        raise InputError(f"{evaluation}: labels no utterance")
    ordered = tuple(sorted(utterances.values(), key=lambda u: (u.start, u.end, u.id)))
    return Recording(name, audio, session.name, parts["scene"] == "script", ordered)


def _meaning(code: str, labels: LabelStep | None) -> str:
    """The label that a code of IEMOCAP's stands for."""
    if labels is None:
        return LABELS[code]
    own = EXCITED if code == "exc" else LABELS[code]
    known = next(filter(labels.knows, (code, own)), LABELS[code])
    return labels.meaning(known)


def _lines(path: Location, kind: str) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, after the words that name it in messages."""
    try:
        text = path.read_bytes().decode("latin-1")
    except (FileNotFoundError, MissingError):
        raise InputError(f"{path}: no such file; every dialogue needs its {kind}") from None
    # Not splitlines: in Latin-1 that also splits at bytes which are part of a line.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{path}: line {number}", line.strip()


def _span(match: re.Match[str], location: str) -> tuple[Seconds, Seconds]:
    try:
        start, end = float(match["start"]), float(match["end"])
    except ValueError:
        raise InputError(f"{location}: a time that is not a number") from None
    if start < 0:
        raise InputError(f"{location}: {match['id']} starts at {start:g}, before the recording")
    if end < start:
        raise InputError(
            f"{location}: {match['id']} ends at {end:g}, before it starts at {start:g}"
        )
    return start, end


def _texts(path: Location) -> dict[str, str]:
    """Each utterance's words, from a `transcriptions` file."""
    texts: dict[str, str] = {}
    for location, line in _lines(path, "transcript"):
        match = _SPOKEN.fullmatch(line)
        if match is None:
            if not line.startswith(path.stem):
                # Speech and noises that were transcribed but not cut out: “M: [LAUGHTER]”.
                log.debug("%s: has no times, left out", location)
                continue
            raise InputError(
                f"{location}: is not a line of a transcript"
                f" (Ses01F_impro01_F000 [006.2901-008.2357]: text): {line[:60]!r}"
            )
        if not _UNLABELLED.search(match["id"]):
            _span(match, location)
        if match["id"] in texts:
            raise InputError(f"{location}: {match['id']} is transcribed twice; remove one of them")
        texts[match["id"]] = " ".join(_EVENT.sub(" ", match["text"]).split())
    return texts
