"""WhisperX's JSON: `segments[].words[]` with `word`, `start`, `end`, `score`, `speaker`.

Its relatives are read, too: faster-whisper's `probability`, whisper-timestamped's `text` and
`confidence`.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import AliasChoices, BeforeValidator, Field, StringConstraints
from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from components.base import InputError, atomic_path, read_json, validate
from components.base.reading import no_bool
from components.conversation.spacing import (
    SPACES,
    join_words,
    joins,
    spaces_between,
    split_words,
    tells_spaces,
)
from components.conversation.types import EARLIEST, LATEST, MAX_WORDS, AsrSegment, Seconds, Word


def _known(value: Any) -> Any:
    """NaN, as some writers put it for "not known", is None."""
    return None if isinstance(no_bool(value), float) and not math.isfinite(value) else value


MaybeTime = Annotated[
    Annotated[float, Field(ge=EARLIEST, le=LATEST)] | None, BeforeValidator(_known)
]
MaybeScore = Annotated[float | None, BeforeValidator(_known)]

_WORD_KEYS = ("start", "end", "score", "speaker", "speaker_confidence")

Text = Annotated[str, StringConstraints(strip_whitespace=True), Field(coerce_numbers_to_str=True)]
"""Some writers give numbers. Stripping refuses half of a character, which JSON can escape."""


Spoken = Annotated[str, Field(min_length=0, coerce_numbers_to_str=True)]
"""A word with the space before it, where its writer put it there; half a character is refused."""


class WhisperXWord(TypedDict):
    """A word; its times may be unknown."""

    word: Annotated[Spoken, Field(validation_alias=AliasChoices("word", "text"))]
    start: NotRequired[MaybeTime]
    end: NotRequired[MaybeTime]
    score: NotRequired[
        Annotated[
            MaybeScore,
            Field(validation_alias=AliasChoices("score", "probability", "confidence")),
        ]
    ]
    speaker: NotRequired[Text | None]


class WhisperXSegment(TypedDict):
    """A stretch as it was recognised; without `words` those of its `text` are taken."""

    start: MaybeTime
    end: MaybeTime
    text: NotRequired[Annotated[str, StringConstraints(strip_whitespace=True)] | None]
    words: NotRequired[Annotated[list[WhisperXWord], Field(fail_fast=True)] | None]


class WhisperXTranscript(TypedDict):
    """A transcript, as WhisperX writes it."""

    segments: Annotated[list[WhisperXSegment], Field(fail_fast=True)]
    language: NotRequired[Text | None]


def _whole(value: Any) -> Any:
    """A bare list of segments, as some tools write it, is a transcript of them."""
    return {"segments": value} if isinstance(value, list) else value


Transcript = Annotated[WhisperXTranscript, BeforeValidator(_whole)]
"""A transcript as it is read: an object with `segments`, or their list."""


def read_words(path: Path, notes: list[str] | None = None) -> list[AsrSegment]:
    """Read a transcript as WhisperX writes it.

    Words may lack times, score and speaker. A segment without `words` gets the words of its
    text, without times, so no word is lost.

    Args:
        notes: gets a line where times cannot be, and so are not used.

    Raises:
        InputError: no such file, not JSON, or not of this form.
    """
    return parse_words(read_json(path), str(path), notes)


def parse_words(data: Any, location: str, notes: list[str] | None = None) -> list[AsrSegment]:
    """As `read_words`, from the JSON's content: an object with `segments`, or their list.

    >>> words = [{"word": "Hello", "start": 0.2, "end": 0.6}, {"word": "there"}]
    >>> (segment,) = parse_words([{"start": 0, "end": 1, "words": words}], "words.json")
    >>> [(word.text, word.start) for word in segment.words]
    [('Hello', 0.2), ('there', None)]
    >>> parse_words([{"start": 0, "words": words}], "words.json")
    Traceback (most recent call last):
    components.base.errors.InputError: words.json: segment 1: lacks 'end'
    """
    transcript: WhisperXTranscript = validate(Transcript, data, location)
    return asr_segments(transcript, location, notes)


def asr_segments(
    transcript: WhisperXTranscript, location: str, notes: list[str] | None = None
) -> list[AsrSegment]:
    """A transcript that `validate` or FastAPI has validated, as segments.

    Times that cannot be (an end before its start) count as unknown, and `notes` gets a line:
    recognisers are off by a few hundredths of a second now and then. A segment without its own
    times takes those of its words, else the gap between its neighbours.

    Raises:
        InputError: a segment has neither words nor text, or there are more than `MAX_WORDS`.
    """
    language = transcript.get("language")
    entries = transcript["segments"]
    segments: list[AsrSegment] = []
    before, count = "", 0
    too_many = InputError(f"{location}: holds more than {MAX_WORDS:,} words; give it in parts")
    starts = _next_starts(entries)
    for number, entry in enumerate(entries):
        if (entry.get("text") or "").count(" ") > 2 * MAX_WORDS:
            raise too_many  # before they are made
        words, text = _words_of(entry, before, language, f"{location}: segment {number + 1}")
        before = words[-1].text if words else before
        count += len(words)
        if count > MAX_WORDS:
            raise too_many
        start, end = _possible(entry["start"], entry["end"])
        times = [time for word in words for time in (word.start, word.end) if time is not None]
        if start is None:
            start = min(times) if times else segments[-1].end if segments else 0.0
        if end is None:
            end = max(times) if times else starts[number]
        segments.append(AsrSegment(start, max(start, end or start), text, words))
    if notes is not None and (wrong := sum(map(_ends_first, _entries(entries)))):
        notes.append(f"{wrong} words or segments end before they start; these times are not used")
    return segments


def _entries(entries: Sequence[WhisperXSegment]) -> Iterator[WhisperXSegment | WhisperXWord]:
    for entry in entries:
        yield entry
        yield from entry.get("words") or ()


def _ends_first(entry: WhisperXSegment | WhisperXWord) -> bool:
    start, end = entry.get("start"), entry.get("end")
    return start is not None and end is not None and end < start


def _next_starts(entries: Sequence[WhisperXSegment]) -> list[Seconds | None]:
    """For each segment the first start that is known behind it."""
    starts: list[Seconds | None] = [None]
    for entry in reversed(entries[1:]):
        starts.append(starts[-1] if entry["start"] is None else entry["start"])
    return starts[::-1]


def _words_of(
    entry: WhisperXSegment, before: str, language: str | None, location: str
) -> tuple[tuple[Word, ...], str]:
    """A segment's words and its text, each made of the other where it is missing."""
    text, spoken = entry.get("text"), entry.get("words")
    if spoken is None or (text and not spoken):  # WhisperX gives no words where it placed none
        if text is None:
            raise InputError(f"{location}: lacks 'text' and 'words'; give one of them")
        return spaced_words(text, language, before=before), text
    texts = [entry["word"].strip(SPACES) for entry in spoken]
    said = list(filter(None, texts))
    known = spaces_between(text or "", said)
    if len(known) < len(said):  # faster-whisper's words have their spaces
        own = spaces_between("".join(entry["word"] for entry in spoken), said)
        known = own if tells_spaces(said, own, language) else known
    spaces = _spaces(said, known, language, before)
    words = tuple(
        _word(entry, word, next(spaces)) for entry, word in zip(spoken, texts, strict=True) if word
    )
    return words, join_words(words) if text is None else text


def spaced_words(
    text: str, language: str | None, *, score: float | None = None, before: str = ""
) -> tuple[Word, ...]:
    """A text's words, without times. Joined again they are the text.

    >>> [word.text for word in spaced_words("今日は OK", "ja")]
    ['今', '日', 'は', 'OK']
    >>> join_words(spaced_words("今日は OK", "ja"))
    '今日は OK'

    Args:
        text: as it is written.
        language: its code or name; None where it is not known.
        score: of each word.
        before: the word before the text.
    """
    parts = split_words(text)
    spaces = _spaces(parts, spaces_between(text, parts), language, before)
    return tuple(
        Word(part, None, None, score, space=space)
        for part, space in zip(parts, spaces, strict=True)
    )


def _spaces(
    words: Sequence[str], known: Sequence[str], language: str | None, before: str
) -> Iterator[str]:
    """What stands before each word: what is known, else by the rules of the language.

    What the first follows is in another segment, so the rules decide.
    """
    for at, (last, word) in enumerate(zip([before, *words], words, strict=False)):
        if 0 < at < len(known):
            yield known[at]
        else:
            yield "" if joins(last, word, language) else " "


def _word(entry: WhisperXWord, text: str, space: str) -> Word:
    start, end = _possible(entry.get("start"), entry.get("end"))
    score, speaker = entry.get("score"), entry.get("speaker")
    return Word(text, start, end, score, speaker, space)


def _possible(start: Seconds | None, end: Seconds | None) -> tuple[Seconds | None, Seconds | None]:
    """Start and end as they are; unknown where the end lies before the start."""
    if start is not None and end is not None and end < start:
        return None, None
    return start, end


def write_words(path: Path, segments: Iterable[AsrSegment], language: str = "en") -> None:
    """Write a transcript as WhisperX does, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(words_text(segments, language), encoding="utf-8")


def words_text(segments: Iterable[AsrSegment], language: str = "en") -> str:
    """A transcript as WhisperX's JSON."""
    entries = [
        {"start": segment.start, "end": segment.end, "text": segment.text}
        | {"words": [word_entry(word) for word in segment.words]}
        for segment in segments
    ]
    data = {"segments": entries, "language": language}
    return json.dumps(data, ensure_ascii=False, indent=1)


def word_entry(word: Word) -> dict[str, Any]:
    """A word as WhisperX writes it, without the keys it has no value for."""
    values = ((key, getattr(word, key)) for key in _WORD_KEYS)
    return {"word": word.text} | {key: value for key, value in values if value is not None}
