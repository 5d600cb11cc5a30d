"""What a conversation is made of, how it is written down, and how its sound is read.

Words and speaker segments come in, turns go out; utterances are what people labelled.
"""

from components.conversation.audio import SAMPLE_RATE, Sound, listen, read_audio
from components.conversation.audio_channels import (
    channel_speaker,
    check_channels,
    read_channels,
)
from components.conversation.audio_length import (
    Length,
    audio_duration,
    measure,
    stated_duration,
)
from components.conversation.documents import (
    EXCLUSIVE,
    REFERENCE,
    SCORES,
    SPEAKERS,
    TRANSCRIPTS,
    TURNS,
    Document,
    count_documents,
    read_documents,
    unpack_documents,
    write_documents,
)
from components.conversation.frame_scores import (
    FrameScores,
    frame_scores_bytes,
    frame_scores_text,
    parse_frame_scores,
    parse_frame_scores_text,
    read_frame_scores,
    write_frame_scores,
)
from components.conversation.licences import (
    NOT_FOR_SALE,
    UNKNOWN_LICENCE,
    licence_of,
    strictest_first,
    strictness,
)
from components.conversation.manifest import (
    FEEDBACK,
    SOURCES,
    read_manifest,
    write_clips,
    write_manifest,
)
from components.conversation.recordings import (
    AUDIO_SUFFIX,
    WHOLE,
    recording_name,
    recording_names,
    shard_of,
    work_through,
)
from components.conversation.seglst import (
    parse_turns,
    parse_turns_from_rttm,
    read_turns,
    read_turns_of,
    turns_from_rttm,
    turns_text,
    write_turns,
)
from components.conversation.spacing import has_unspaced, join_words
from components.conversation.speakers import (
    only_recording,
    parse_rttm,
    read_rttm,
    read_uem,
    rttm_text,
    write_rttm,
)
from components.conversation.subtitles import Layout, turns_to_srt, turns_to_vtt
from components.conversation.types import (
    DEFAULT_LABELS,
    DOUBTFUL,
    EARLIEST,
    EMOTIONS,
    IGNORE,
    LATEST,
    MAX_PAUSE,
    MAX_SPEAKERS,
    MAX_VOICES,
    MAX_WORDS,
    NO_ANSWER,
    UNKNOWN,
    AsrSegment,
    Emotion,
    Progress,
    Recording,
    Seconds,
    SpeakerSegment,
    Turn,
    Utterance,
    Word,
    labels_of,
)
from components.conversation.uncertain import mark_uncertain
from components.conversation.waveform import PEAKS_PER_SECOND, peaks
from components.conversation.words import (
    Transcript,
    asr_segments,
    parse_words,
    read_words,
    spaced_words,
    words_text,
    write_words,
)
