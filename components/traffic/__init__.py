"""What the service answered, and what people said of it: the prediction log and the feedback.

Both are tables of one database, SQLite or PostgreSQL, that the replicas of a service share:

    moodline_turns            what was answered; a row a turn
    moodline_feedback         what people say a turn's emotion is
    moodline_speaker_feedback what people say who speaks in it
    moodline_under_way        recordings that are being analysed

The log's folder holds what is no table:

    audio/day=…/*.flac        sound, only where the operator turned that on
    key                       what recordings' names are hashed with
"""

from components.traffic.answers import AmbiguousRequestError, Asker, versions_that_answered
from components.traffic.artifacts import Artifacts, artifacts_of
from components.traffic.audio import audio_path, keep_audio, kept_audio
from components.traffic.copies import Copies, keep_only
from components.traffic.doubtful import Doubtful, DoubtfulTurns
from components.traffic.entries import (
    NO_KEY,
    Correction,
    Feedback,
    contradicted,
    standing,
)
from components.traffic.export import export_feedback, export_log, read_export
from components.traffic.feedback import (
    FeedbackStore,
    TooManyStatementsError,
    UnknownRequestError,
)
from components.traffic.review import Held, held, seen_entries
from components.traffic.rows import (
    MEASURES,
    KeyMissingError,
    LoggedRequest,
    LoggedTurn,
    entropy,
    known_key,
    owner_id,
    recording_id,
    recording_key,
    schema,
)
from components.traffic.selection import Selected, select_feedback, selected_before
from components.traffic.statements import Counts, Said, SaidSpeaker, Statements
from components.traffic.turn_log import ErasedTurns, TurnLog
from components.traffic.writer import LogWriter
