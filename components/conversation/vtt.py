"""WebVTT: turns as subtitles, for players."""

from collections.abc import Iterable

from components.conversation.types import Seconds, Turn


def turns_to_vtt(turns: Iterable[Turn]) -> str:
    """Turns as WebVTT cues, the speaker as voice, the emotion before the text."""
    cues = ["WEBVTT\n"]
    for turn in turns:
        mood = f"[{turn.emotion}] " if turn.emotion else ""
        text = (turn.words).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(
            f"{_stamp(turn.start)} --> {_stamp(turn.end)}\n<v {turn.speaker}>{mood}{text}\n"
        )
    return "\n".join(cues)


def _stamp(time: Seconds) -> str:
    milliseconds = round(time * 1000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{milliseconds:03d}"
