"""The alignment of a whole corpus, from files to a file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from components.align.align import align, align_baseline, align_channels
from components.align.pauses import Auto
from components.align.spoken import Method
from components.base import InputError, parse_json
from components.conversation import (
    EXCLUSIVE,
    SCORES,
    TRANSCRIPTS,
    TURNS,
    AsrSegment,
    Document,
    FrameScores,
    Progress,
    Seconds,
    SpeakerSegment,
    count_documents,
    parse_frame_scores_text,
    parse_rttm,
    parse_words,
    read_documents,
    turns_text,
    write_documents,
)


def align_corpus(
    transcripts: Sequence[Path],
    speakers: Sequence[Path],
    out: Path,
    *,
    max_pause: Seconds | Auto = 1.5,
    method: Method = "overlap",
    baseline: bool = False,
    progress: Progress | None = None,
) -> int:
    """Align every recording of a corpus, in the order of the transcripts.

    Args:
        transcripts: files with documents of the kind `TRANSCRIPTS`, one for each shard of the
            corpus.
        speakers: their files with documents of the kind `EXCLUSIVE`, in the same order; a silent
            recording's may be empty. The method "evidence" takes those of the kind `SCORES`, too,
            where there are some.
        out: the file that gets a document of the kind `TURNS` for each; see `write_documents`.
        max_pause: as for `align`.
        method: as for `align`.
        baseline: align without alignment, by `align_baseline`.

    Returns:
        How many recordings there were.

    Raises:
        InputError: no transcripts, one without its speakers, scores that do not fit their speakers,
            or a file that cannot be read.
    """
    total = sum(map(count_documents, transcripts))
    if not total:
        raise InputError(f"{', '.join(map(str, transcripts))}: no transcripts in there")

    def turns() -> Iterator[Document]:
        scored = method == "evidence" and not baseline
        heard = _heard(transcripts, speakers, scored=scored)
        for done, (name, words, spoken, scores) in enumerate(heard, start=1):
            how: dict[str, Any] = {"session_id": name, "max_pause": max_pause}
            if _have_speakers(words):
                found = align_channels(words, **how)
            elif baseline:
                found = align_baseline(words, spoken, **how)
            else:
                found = align(words, spoken, method=method, scores=scores, **how)
            yield Document(name, TURNS, turns_text(found))
            if progress:
                progress(done, total)

    return write_documents(out, turns())


def _heard(
    transcripts: Sequence[Path], speakers: Sequence[Path], *, scored: bool
) -> Iterator[tuple[str, list[AsrSegment], list[SpeakerSegment], FrameScores | None]]:
    """Each recording's name, words, speaker segments and, if asked for, frame scores."""
    for words_path, rttm_path in zip(transcripts, speakers, strict=True):
        spoken = read_documents(rttm_path, EXCLUSIVE)
        kept = read_documents(rttm_path, SCORES) if scored else iter(())
        for name, text in read_documents(words_path, TRANSCRIPTS):
            other, rttm = next(spoken, ("", ""))
            if other != name:
                reason = f"its place is that of {other}" if other else "it has none"
                raise InputError(f"{rttm_path}: no speakers of {name}: {reason}; diarize again")
            by_recording = parse_rttm(rttm, f"{rttm_path}: {name}")
            if by_recording.keys() - {name}:
                raise InputError(f"{rttm_path}: {name}: is of {', '.join(sorted(by_recording))}")
            location = f"{words_path}: {name}"
            words = parse_words(parse_json(text, location), location)
            segments = by_recording.get(name, [])
            of, scores = next(kept, (name, ""))  # older files have none
            location = f"{rttm_path}: {of}"
            yield name, words, segments, parse_frame_scores_text(scores, location, name, segments)


def _have_speakers(segments: Sequence[AsrSegment]) -> bool:
    """Whether every word says who spoke it: it was heard on its speaker's channel."""
    return all(word.speaker for segment in segments for word in segment.words)
