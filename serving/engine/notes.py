"""What is told of a recording beside its turns."""

from collections.abc import Sequence

from components.conversation import AsrSegment


def foreign_notes(language: str, known: Sequence[str]) -> list[str]:
    """What is to be said where a text encoder does not know the language.

    >>> foreign_notes("de", ["en"])
    ['is in “de”, and the text encoder knows en: emotions are told by the voice alone, and worse']
    """
    if not known or language in known:
        return []
    languages = ", ".join(known)
    return [
        f"is in “{language}”, and the text encoder knows {languages}: emotions are told by the"
        " voice alone, and worse"
    ]


def words_without_times(segments: Sequence[AsrSegment]) -> int:
    """How many words of a transcript have no times of their own."""
    words = (word for segment in segments for word in segment.words)
    return sum(word.start is None or word.end is None for word in words)
