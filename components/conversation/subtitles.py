"""WebVTT and SubRip: turns as subtitles, for players and editors."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from components.base.errors import InputError
from components.conversation.types import Seconds, Turn

MIN_WIDTH, MAX_WIDTH, MAX_LINES = 10, 200, 10

NO_MARKS = str.maketrans("<>{}", "‹›()")
"""SubRip has no way to write what players take for marks of style, so it gets look-alikes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How much a subtitle shows at once; 42 characters and 2 lines are what broadcasters ask for.

    Attributes:
        width: characters in a line.
        lines: in a subtitle.

    Raises:
        InputError: too few or too many.
    """

    width: int = 42
    lines: int = 2

    def __post_init__(self) -> None:
        if not MIN_WIDTH <= self.width <= MAX_WIDTH:
            raise InputError(f"a line of subtitles has {MIN_WIDTH} to {MAX_WIDTH} characters")
        if not 1 <= self.lines <= MAX_LINES:
            raise InputError(f"a subtitle has 1 to {MAX_LINES} lines")


BROADCAST = Layout()


@dataclass(frozen=True, slots=True)
class _Cue:
    """A subtitle: its times in milliseconds, its speaker, its lines."""

    start: int
    end: int
    speaker: str
    lines: Sequence[str]


def turns_to_vtt(turns: Iterable[Turn], layout: Layout = BROADCAST) -> str:
    """Turns as WebVTT cues, the speaker as voice, the emotion before the text.

    An emotion that the model is not sure of ends with a question mark. A turn that is longer than
    the layout allows becomes several cues, which share its time by their characters. A cue lasts at
    least a millisecond, as WebVTT demands.

    >>> print(turns_to_vtt([Turn("call", 0.5, 1.25, "A", "hello there", "sad")]).rstrip())
    WEBVTT
    <BLANKLINE>
    00:00:00.500 --> 00:00:01.250
    <v A>[sad] hello there
    """
    blocks = ["WEBVTT\n"]
    for cue in _cues(turns, layout, ""):
        text = "\n".join(map(_escaped, cue.lines))
        blocks.append(f"{_times(cue, '.')}\n<v {_escaped(_plain(cue.speaker))}>{text}\n")
    return "\n".join(blocks)


def turns_to_srt(turns: Iterable[Turn], layout: Layout = BROADCAST) -> str:
    """Turns as SubRip: as `turns_to_vtt`, with the speaker before the turn's first words.

    >>> print(turns_to_srt([Turn("call", 0.5, 1.25, "A", "hello there", "sad")]).rstrip())
    1
    00:00:00,500 --> 00:00:01,250
    A: [sad] hello there
    """
    blocks = []
    for number, cue in enumerate(_cues(turns, layout, "{}: "), start=1):
        text = "\n".join(cue.lines).translate(NO_MARKS)
        blocks.append(f"{number}\n{_times(cue, ',')}\n{text}\n")
    return "\n".join(blocks)


def _cues(turns: Iterable[Turn], layout: Layout, named: str) -> list[_Cue]:
    """The turns' cues, by start; each turn's first line begins with `named`, its speaker in it."""
    cues: list[_Cue] = []
    for turn in turns:
        doubt = "?" if turn.uncertain else ""
        mood = f"[{turn.emotion}{doubt}] " if turn.emotion else ""
        text = named.format(_plain(turn.speaker)) + mood + _plain(turn.words)
        lines = textwrap.wrap(text, layout.width, break_on_hyphens=False) or [""]
        shown = [lines[n : n + layout.lines] for n in range(0, len(lines), layout.lines)]
        lengths = [max(sum(map(len, part)), 1) for part in shown]
        begun = 0
        for part, length in zip(shown, lengths, strict=True):
            first, last = (
                _milliseconds(turn.start + turn.duration * count / sum(lengths))
                for count in (begun, begun + length)
            )
            cues.append(_Cue(first, max(last, first + 1), turn.speaker, part))
            begun += length
    return sorted(cues, key=lambda cue: cue.start)  # two may speak at once


def _plain(text: str) -> str:
    """Text on one line."""
    return " ".join(text.split())


def _escaped(line: str) -> str:
    """A line of WebVTT, nothing in it taken for a mark."""
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _milliseconds(time: Seconds) -> int:
    return max(round(time * 1000), 0)


def _times(cue: _Cue, point: str) -> str:
    return f"{_stamp(cue.start, point)} --> {_stamp(cue.end, point)}"


def _stamp(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"
