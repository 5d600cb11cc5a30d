"""How much a diarizer hears each speaker, frame by frame, kept beside its RTTM.

    frames     |0 |1 |2 |3 |4 |5 |6 |7 |        about 60 a second
    A           255 255 255 170  85   0   0   0
    B             0   0   0  85 170 255 255 255

An RTTM only says who is heard most. The file is safetensors: one array `activity`, uint8 [frames,
speakers], and metadata that says which recording and which speaker segments it belongs to.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.base.errors import InputError
from components.base.files import atomic_path
from components.conversation.types import Seconds, SpeakerSegment

FORMAT = "moodline frame scores 1"
LONGEST_HEADER = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class FrameScores:
    """How much of each speaker is heard in each frame.

    Attributes:
        speakers: labels.
        start: when the first frame begins.
        step: how long a frame lasts.
        activity: uint8 [frames, speakers]; 255: all that listened to the frame hear the speaker.
    """

    speakers: tuple[str, ...]
    start: Seconds
    step: Seconds
    activity: np.ndarray

    def inside(self, starts: np.ndarray, ends: np.ndarray) -> Mapping[str, np.ndarray]:
        """Seconds of each speaker inside each stretch, by label: float [stretches]."""
        frames = len(self.activity)
        times = self.start + self.step * np.arange(frames + 1)
        heard = np.zeros(frames + 1)
        inside: dict[str, np.ndarray] = {}
        for number, speaker in enumerate(self.speakers):
            np.cumsum(self.activity[:, number], dtype=float, out=heard[1:])
            spoken = np.interp(ends, times, heard) - np.interp(starts, times, heard)
            inside[speaker] = spoken * (self.step / 255)
        return inside

    def renamed(self, names: Mapping[str, str]) -> "FrameScores":
        """The same with other labels for some speakers; those who get one label are one."""
        labels = [names.get(speaker, speaker) for speaker in self.speakers]
        speakers = sorted(set(labels))
        activity = np.zeros((len(self.activity), len(speakers)), dtype=np.uint8)
        for label, own in zip(labels, self.activity.T, strict=True):
            column = activity[:, speakers.index(label)]
            np.maximum(column, own, out=column)
        return FrameScores(tuple(speakers), self.start, self.step, activity)

    def following(
        self, before: Sequence[SpeakerSegment], after: Sequence[SpeakerSegment]
    ) -> "FrameScores":
        """The scores once stretches went to other speakers: the two change places there.

        Args:
            before, after: who speaks when, one at a time.
        """
        speakers = sorted({*self.speakers, *(s.speaker for s in (*before, *after))})
        activity = np.zeros((len(self.activity), len(speakers)), dtype=np.uint8)
        activity[:, [speakers.index(label) for label in self.speakers]] = self.activity
        old, new = (self._owners(segments, speakers) for segments in (before, after))
        moved = np.flatnonzero((old != new) & (old >= 0) & (new >= 0))
        one, other = activity[moved, old[moved]], activity[moved, new[moved]]
        activity[moved, new[moved]], activity[moved, old[moved]] = one, other
        return FrameScores(tuple(speakers), self.start, self.step, activity)

    def _owners(self, segments: Sequence[SpeakerSegment], speakers: Sequence[str]) -> np.ndarray:
        """The position of each frame's speaker, -1 for nobody: int [frames]."""
        owners = np.full(len(self.activity), -1)
        for segment in segments:
            first, last = ((t - self.start) / self.step for t in (segment.start, segment.end))
            owners[max(round(first), 0) : max(round(last), 0)] = speakers.index(segment.speaker)
        return owners


def frame_scores_bytes(
    scores: FrameScores, recording: str, *segments: Sequence[SpeakerSegment]
) -> bytes:
    """A file's content.

    Args:
        recording: its name.
        segments: the speaker segments that the scores belong to; several where there are some with
            and some without overlap.
    """
    from safetensors.numpy import save

    metadata = {
        "format": FORMAT,
        "recording": recording,
        "speakers": json.dumps(scores.speakers),
        "start": repr(float(scores.start)),
        "step": repr(float(scores.step)),
        "segments": json.dumps([_digest(own) for own in segments]),
    }
    return _in_order(save({"activity": np.ascontiguousarray(scores.activity)}, metadata))


def _in_order(content: bytes) -> bytes:
    """A safetensors file whose header is sorted. safetensors writes metadata in another order each
    time, and the same scores should be the same bytes: steps are known by their files' digests.
    """
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    ordered = text.encode().ljust(length)
    return struct.pack("<Q", len(ordered)) + ordered + content[8 + length :]


def parse_frame_scores(
    content: bytes, location: str, recording: str, segments: Sequence[SpeakerSegment]
) -> FrameScores:
    """A file's content, seen to belong to a recording's speaker segments.

    Args:
        location: named in messages.
        segments: as the RTTM has them, in any order.

    Raises:
        InputError: it is no such file, it was cut short, or it belongs to others.
    """
    try:
        metadata = _metadata(content)
        scores = _scores(content, metadata)
        digests: Collection[str] = json.loads(metadata["segments"])
    except Exception as error:  # of safetensors, of JSON, of a key that is not there
        raise InputError(
            f"{location}: holds no frame scores, or was cut short; diarize again"
        ) from error
    if metadata["recording"] != recording:
        raise InputError(
            f"{location}: the frame scores are of {metadata['recording'][:80]}, not of {recording}"
        )
    if _digest(segments) not in digests:
        raise InputError(
            f"{location}: the frame scores do not fit the speaker segments of {recording};"
            " diarize again, or leave the scores out"
        )
    return scores


def write_frame_scores(
    path: Path, scores: FrameScores, recording: str, *segments: Sequence[SpeakerSegment]
) -> None:
    """Write a file, whole or not at all; the arguments are those of `frame_scores_bytes`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(frame_scores_bytes(scores, recording, *segments))


def read_frame_scores(
    path: Path, recording: str, segments: Sequence[SpeakerSegment]
) -> FrameScores:
    """A file's scores, seen to belong to a recording's speaker segments.

    Raises:
        InputError: it cannot be read, or as `parse_frame_scores`.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {str(error.strerror).lower()}") from None
    return parse_frame_scores(content, str(path), recording, segments)


def frame_scores_text(
    scores: FrameScores | None, recording: str, *segments: Sequence[SpeakerSegment]
) -> str:
    """As a document's text: base64; empty where there are none."""
    if scores is None:
        return ""
    return base64.b64encode(frame_scores_bytes(scores, recording, *segments)).decode("ascii")


def parse_frame_scores_text(
    text: str, location: str, recording: str, segments: Sequence[SpeakerSegment]
) -> FrameScores | None:
    """A document's text; None where it is empty.

    Raises:
        InputError: as `parse_frame_scores`.
    """
    if not text:
        return None
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        content = b""
    return parse_frame_scores(content, location, recording, segments)


def _metadata(content: bytes) -> dict[str, Any]:
    (length,) = struct.unpack_from("<Q", content)
    if length > min(LONGEST_HEADER, len(content)):
        raise ValueError(length)
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    if metadata["format"] != FORMAT:
        raise ValueError(metadata["format"])
    return dict(metadata)


def _scores(content: bytes, metadata: Mapping[str, str]) -> FrameScores:
    from safetensors.numpy import load

    speakers = tuple(map(str, json.loads(metadata["speakers"])))
    start, step = float(metadata["start"]), float(metadata["step"])
    activity = load(content)["activity"]
    whole = activity.dtype == np.uint8 and activity.shape[1:] == (len(speakers),)
    if not whole or not 0 < step < 10 or not abs(start) < 10 or len(set(speakers)) < len(speakers):
        raise ValueError(activity.shape)
    return FrameScores(speakers, start, step, activity)


def _digest(segments: Sequence[SpeakerSegment]) -> str:
    """Of who speaks when, to the millisecond, as an RTTM keeps it at least."""
    lines = sorted(f"{s.start:.3f} {s.end:.3f} {s.speaker}" for s in segments)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
