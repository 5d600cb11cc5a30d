"""What a conversation is made of, how it is written down, and how its sound is read.

Words and speaker segments come in, turns go out; utterances are what people labelled.
"""

from components.conversation.audio import SAMPLE_RATE, audio_duration, check_audio, read_audio
from components.conversation.errors import InputError
from components.conversation.files import (
    STDOUT,
    atomic_path,
    check_new_folder,
    check_writable,
)
from components.conversation.manifest import FEEDBACK, read_manifest, write_manifest
from components.conversation.reading import number, parse_json, read_json, read_text
from components.conversation.seglst import read_turns, turns_from_rttm, write_turns
from components.conversation.speakers import (
    EXCLUSIVE,
    parse_rttm,
    read_rttm,
    read_uem,
    rttm_text,
    write_rttm,
    write_uem,
)
from components.conversation.types import (
    EARLIEST,
    EMOTIONS,
    UNKNOWN,
    AsrSegment,
    Recording,
    Seconds,
    SpeakerSegment,
    Turn,
    Utterance,
    Word,
)
from components.conversation.vtt import turns_to_vtt
from components.conversation.words import parse_words, read_words, words_text, write_words

__all__ = [
    "EARLIEST",
    "EMOTIONS",
    "EXCLUSIVE",
    "FEEDBACK",
    "SAMPLE_RATE",
    "STDOUT",
    "UNKNOWN",
    "AsrSegment",
    "InputError",
    "Recording",
    "Seconds",
    "SpeakerSegment",
    "Turn",
    "Utterance",
    "Word",
    "atomic_path",
    "audio_duration",
    "check_audio",
    "check_new_folder",
    "check_writable",
    "number",
    "parse_json",
    "parse_rttm",
    "parse_words",
    "read_audio",
    "read_json",
    "read_manifest",
    "read_rttm",
    "read_text",
    "read_turns",
    "read_uem",
    "read_words",
    "rttm_text",
    "turns_from_rttm",
    "turns_to_vtt",
    "words_text",
    "write_manifest",
    "write_rttm",
    "write_turns",
    "write_uem",
    "write_words",
]
