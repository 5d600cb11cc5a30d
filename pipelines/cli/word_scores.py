"""`moodline score --words`: who said each word, of turns or of words with their own times."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from components.align import flatten
from components.base import InputError, parse_json, read_text
from components.conversation import UNKNOWN, Turn, parse_turns, parse_words
from pipelines.cli.console import note, out, print_json
from pipelines.cli.tables import plain_table, right


@dataclass(frozen=True)
class _Side:
    """A file's words.

    Attributes:
        turns: of a transcript one for each word.
        groups: what each of them is of: a turn, or a transcript's segment and speaker.
        named: whether its turns name their recording; a transcript does not.
    """

    path: Path
    turns: list[Turn]
    groups: Sequence[Hashable]
    named: bool

    @property
    def recordings(self) -> list[str]:
        return sorted({turn.session_id for turn in self.turns})


def show_word_speakers(reference: Path, hypothesis: Path, as_json: bool) -> None:
    """Score and print.

    Raises:
        InputError: a file cannot be read, has no words, a word of the reference has no speaker, or
            a transcript stands against turns of several recordings.
    """
    from components.scoring import word_speakers

    true, heard = _read(reference), _read(hypothesis)
    if not true.named and (word := next((t for t in true.turns if t.speaker == UNKNOWN), None)):
        raise InputError(
            f"{reference}: “{word.words}” at {word.start:.2f} s has no speaker; each word of a"
            " reference needs one"
        )
    true, heard = _under_one_name(true, heard), _under_one_name(heard, true)
    for side in (true, heard):
        if not any(turn.words.strip() for turn in side.turns):
            raise InputError(f"{side.path}: has no words")
    scores = word_speakers(true.turns, heard.turns, true.groups, heard.groups).to_json()
    if scores["tcpwer"] is None:
        note("moodline: tcpWER is left out: a recording has too many speakers for it")
    return print_json(scores) if as_json else out.print(_table(scores))


def _read(path: Path) -> _Side:
    """SegLST, or a transcript in WhisperX's JSON: an object with `segments`."""
    text = read_text(path)
    data = parse_json(text, str(path))
    if not isinstance(data, dict):
        turns = parse_turns(text, str(path))
        return _Side(path, turns, range(len(turns)), named=True)
    spoken = [
        (number, word.speaker or UNKNOWN, word)
        for number, segment in enumerate(parse_words(data, str(path)))
        for word in flatten([segment])
    ]
    turns = [
        Turn("", word.start or 0.0, word.end or 0.0, speaker, word.text)
        for _, speaker, word in spoken
    ]
    return _Side(path, turns, [(number, speaker) for number, speaker, _ in spoken], named=False)


def _under_one_name(side: _Side, other: _Side) -> _Side:
    """A transcript with the name of the other side's recording."""
    if side.named:
        return side
    names = other.recordings if other.named else []
    if len(names) > 1:
        raise InputError(
            f"{side.path}: is one recording's transcript, but {other.path} holds turns of"
            f" {len(names)} recordings ({', '.join(names[:3])}…); score them one by one"
        )
    name = names[0] if names else "recording"
    return replace(side, turns=[replace(turn, session_id=name) for turn in side.turns])


def _table(scores: dict[str, Any]) -> Table:
    table = plain_table("", *right("rate", "counts"))
    wrong, changes, whole = (scores[k] for k in ("word_speaker_error", "changes", "whole"))
    rows = [
        ("word-speaker error", wrong["rate"], f"{wrong['errors']} of {wrong['length']} words"),
        ("changes of speaker found (recall)", changes["recall"],
         f"{changes['found']} of {changes['reference']} within 0.25 s"),
        ("changes of speaker right (precision)", changes["precision"],
         f"{changes['found']} of {changes['hypothesis']} within 0.25 s"),
        ("utterances kept whole", whole["rate"], f"{whole['correct']} of {whole['total']}"),
    ]  # fmt: skip
    for name, shown in (("cpwer", "cpWER"), ("tcpwer", "tcpWER")):
        if part := scores[name]:
            rows.append((shown, part["rate"], f"{part['errors']} of {part['length']} words"))
    for name, rate, counts in rows:
        table.add_row(name, "–" if rate is None else f"{rate:.2%}", counts)
    return table
