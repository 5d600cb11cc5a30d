"""What the service answered, and what people said of it: the prediction log and the feedback.

Both are tables of one database, SQLite or PostgreSQL, that the replicas of a service share:

    moodline_turns            what was answered; a row a turn
    moodline_feedback         what people say a turn's emotion is
    moodline_erased           recordings that were erased

The log's folder holds what is no table:

    audio/day=…/*.flac        sound, only where the operator turned that on
    key                       what recordings' names are hashed with
"""

from components.traffic.audio import audio_path, keep_audio, kept_audio
from components.traffic.export import export_feedback, export_log, read_export
from components.traffic.feedback import (
    Correction,
    Feedback,
    FeedbackStore,
    UnknownRequestError,
    contradicted,
    standing,
)
from components.traffic.rows import (
    MEASURES,
    LoggedRequest,
    LoggedTurn,
    entropy,
    recording_id,
    recording_key,
    schema,
)
from components.traffic.turn_log import TurnLog
from components.traffic.writer import LogWriter
