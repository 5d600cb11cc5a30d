"""WebVTT: turns as subtitles, for players."""

from collections.abc import Iterable

from components.conversation.types import Seconds, Turn


def turns_to_vtt(turns: Iterable[Turn]) -> str:
    """Turns as WebVTT cues, the speaker as voice, the emotion before the text.

    An emotion that the model is not sure of ends with a question mark.

    A cue lasts at least a millisecond, as WebVTT demands.

    >>> print(turns_to_vtt([Turn("call", 0.5, 1.25, "A", "hello there", "sad")]).rstrip())
    WEBVTT
    <BLANKLINE>
    00:00:00.500 --> 00:00:01.250
    <v A>[sad] hello there
    """
    cues = ["WEBVTT\n"]
    for turn in turns:
        start = _milliseconds(turn.start)
        doubt = "?" if turn.uncertain else ""
        mood = f"[{turn.emotion}{doubt}] " if turn.emotion else ""
        cues.append(
            f"{_stamp(start)} --> {_stamp(max(_milliseconds(turn.end), start + 1))}\n"
            f"<v {_plain(turn.speaker)}>{mood}{_plain(turn.words)}\n"
        )
    return "\n".join(cues)


def _plain(text: str) -> str:
    """Text as a cue holds it: on one line, and nothing in it taken for a mark."""
    line = " ".join(text.split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _milliseconds(time: Seconds) -> int:
    return max(round(time * 1000), 0)


def _stamp(milliseconds: int) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{milliseconds:03d}"
