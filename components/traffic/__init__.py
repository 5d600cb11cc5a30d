"""What the service answered, and what people said of it: the prediction log and the feedback.

The log is a folder:

    journal/*.jsonl           what was answered last; one file a writer, a line a request
    turns/day=…/*.parquet     the same, rolled up; a row a turn. pandas and DuckDB read it
    audio/day=…/*.flac        only where the operator turned that on
    erased/*                  recordings that were erased
    key                       what recordings' names are hashed with

Feedback is a table in a database. Both can be shared by several replicas: each writer has journals
of its own, and the database keeps the order.
"""

from components.traffic.audio import audio_path, keep_audio, kept_audio
from components.traffic.erase import erase, sweep
from components.traffic.export import Exported, export_feedback
from components.traffic.feedback import (
    Correction,
    Feedback,
    FeedbackStore,
    Recorded,
    UnknownRequestError,
    contradicted,
    standing,
)
from components.traffic.journal import Journal
from components.traffic.reader import Window, find_request, read_window
from components.traffic.rows import (
    MEASURES,
    Answered,
    LoggedTurn,
    entropy,
    recording_id,
    recording_key,
    schema,
)

__all__ = [
    "MEASURES",
    "Answered",
    "Correction",
    "Exported",
    "Feedback",
    "FeedbackStore",
    "Journal",
    "LoggedTurn",
    "Recorded",
    "UnknownRequestError",
    "Window",
    "audio_path",
    "contradicted",
    "entropy",
    "erase",
    "export_feedback",
    "find_request",
    "keep_audio",
    "kept_audio",
    "read_window",
    "recording_id",
    "recording_key",
    "schema",
    "standing",
    "sweep",
]
