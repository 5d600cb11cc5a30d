"""RTTM (who spoke when) and UEM (which stretches are scored), the formats of NIST's evaluations."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from unicodedata import normalize

from components.base import InputError, atomic_path, read_text
from components.conversation.types import EARLIEST, LATEST, Seconds, SpeakerSegment

OTHER_LINES = {
    *("SPKR-INFO", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "SU", "SEGMENT"),
    *("NOSCORE", "NO_RT_METADATA", "CB", "IP", "A/P"),
}
"""NIST's other kinds of RTTM line; none of them says who speaks when."""


NOTHING = "<NA>"
"""What stands in a field that says nothing."""


def _lines(text: str, location: str) -> Iterator[tuple[str, list[str]]]:
    """Where each line that is no comment stands, for messages, and its fields."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith(";"):
            yield f"{location}: line {number}", line.split()


@contextmanager
def _checked(location: str, kind: str) -> Iterator[None]:
    """Raise an `InputError` for what is wrong with a line of that kind of file."""
    try:
        yield
    except IndexError:
        raise InputError(f"{location}: is not {kind} line: too short") from None
    except ValueError as error:
        raise InputError(f"{location}: is not {kind} line: {error}") from None


def read_rttm(path: Path) -> dict[str, list[SpeakerSegment]]:
    """Read the SPEAKER lines of an RTTM file.

    Returns:
        For each recording its segments, ordered by start.

    Raises:
        InputError: no such file, or a line that is not RTTM, with its number.
    """
    return parse_rttm(read_text(path), str(path))


def parse_rttm(text: str, location: str) -> dict[str, list[SpeakerSegment]]:
    """As `read_rttm`, from its text.

    >>> parse_rttm("SPEAKER call 1 0.5 1.5 <NA> <NA> A <NA> <NA>", "call.rttm")
    {'call': [SpeakerSegment(start=0.5, end=2.0, speaker='A')]}
    """
    recordings: dict[str, list[SpeakerSegment]] = {}
    for line, fields in _lines(text.removeprefix("\ufeff"), location):
        if fields[0] in OTHER_LINES:
            continue
        if fields[0] != "SPEAKER":
            raise InputError(f"{line}: is not RTTM (expected “SPEAKER …”)")
        with _checked(line, "an RTTM"):
            _check_fields(fields)
            recording = normalize("NFC", fields[1])
            start, length, speaker = fields[3], fields[4], fields[7]
            segment = SpeakerSegment(float(start), float(start) + float(length), speaker)
        recordings.setdefault(recording, []).append(segment)
    return {recording: sorted(segments) for recording, segments in recordings.items()}


def _check_fields(fields: Sequence[str]) -> None:
    """Refuse a line whose fields are not where RTTM has them, as behind a space in a name.

    A line is: SPEAKER, recording, channel, start, length, <NA>, <NA>, speaker, confidence, and
    since 2009 a look-ahead time, which many leave out.
    """
    if len(fields) < 8:
        raise ValueError("too short")
    if len(fields) > 10:
        raise ValueError(f"it has {len(fields)} fields, RTTM 9 or 10; names hold no spaces")
    channel, name, rest = fields[2], fields[7], fields[8:]
    if not (channel == NOTHING or channel.isdigit()):
        raise ValueError(f"its channel is “{channel}”, not a number; names hold no spaces")
    for value in rest:
        if value != NOTHING:
            try:
                float(value)
            except ValueError:
                raise ValueError(
                    f"“{value}” stands behind its speaker, where a number or {NOTHING} belongs;"
                    " names hold no spaces"
                ) from None
    if rest and rest[0].isdigit() and int(rest[0]) > 1:  # “Speaker 2”, and no look-ahead time
        raise ValueError(f"its confidence is {rest[0]}, which is above 1; names hold no spaces")
    if name == NOTHING:
        raise ValueError("it names no speaker; names hold no spaces")


def only_recording(
    recordings: Mapping[str, list[SpeakerSegment]], location: str, default: str
) -> tuple[str, list[SpeakerSegment]]:
    """The name and the segments of the one recording that an RTTM is of.

    Args:
        recordings: as `parse_rttm` gives them.
        location: where they come from, for messages.
        default: the recording's name where there is none.

    Raises:
        InputError: there are several recordings, or a time lies outside any recording.
    """
    if len(recordings) > 1:
        names = ", ".join(sorted(recordings)[:5])
        raise InputError(f"{location}: holds {len(recordings)} recordings ({names}); give it one")
    name, segments = next(iter(recordings.items()), (default, []))
    for segment in segments:
        if segment.start < EARLIEST:
            raise InputError(f"{location}: {segment.speaker} speaks at {segment.start} s, before 0")
        if segment.end > LATEST:
            raise InputError(
                f"{location}: {segment.speaker} speaks at {segment.end:.0f} s; times are seconds,"
                f" at most {LATEST:.0f}"
            )
    return name, segments


def write_rttm(path: Path, recording: str, segments: Iterable[SpeakerSegment]) -> None:
    """Write one recording's `rttm_text`, times to the microsecond, whole or not at all."""
    text = rttm_text(recording, segments)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def rttm_text(recording: str, segments: Iterable[SpeakerSegment]) -> str:
    """One recording's segments as RTTM lines, by time.

    >>> rttm_text("call", [SpeakerSegment(0.5, 2.0, "A")])
    'SPEAKER call 1 0.500000 1.500000 <NA> <NA> A <NA> <NA>\\n'

    Raises:
        InputError: a recording or speaker whose name has a space, which RTTM cannot hold.
    """
    segments = sorted(segments)
    for name in (recording, *(segment.speaker for segment in segments)):
        if len(name.split()) != 1:
            raise InputError(f"RTTM cannot hold the name “{name}”: it must be one word")
    return "".join(
        f"SPEAKER {recording} 1 {s.start:.6f} {s.end - s.start:.6f}"
        f" <NA> <NA> {s.speaker} <NA> <NA>\n"
        for s in segments
    )


def read_uem(path: Path) -> dict[str, list[tuple[Seconds, Seconds]]]:
    """Read a UEM file: for each recording the stretches to score, in order.

    Raises:
        InputError: no such file, or a line that is not UEM, with its number.
    """
    regions: dict[str, list[tuple[Seconds, Seconds]]] = {}
    for location, fields in _lines(read_text(path), str(path)):
        with _checked(location, "a UEM"):
            if len(fields) > 4:
                raise ValueError(f"it has {len(fields)} fields, UEM 4; names hold no spaces")
            recording, start, end = normalize("NFC", fields[0]), float(fields[2]), float(fields[3])
        if not (math.isfinite(start) and math.isfinite(end)):
            raise InputError(f"{location}: has a time that is not a number")
        if end < start:
            raise InputError(f"{location}: ends before it starts")
        regions.setdefault(recording, []).append((start, end))
    return {recording: sorted(spans) for recording, spans in regions.items()}
