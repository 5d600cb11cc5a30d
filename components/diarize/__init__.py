"""Audio to speaker segments: a pyannote.audio pipeline, or each channel's speech."""

from components.diarize.channels import ChannelDiarizer
from components.diarize.corpus import diarize_corpus
from components.diarize.diarizer import Diarization, Diarizer
from components.diarize.enrolment import (
    MAX_SAMPLE,
    NAME,
    check_name,
    named,
    voice_print,
    voice_prints,
)
from components.diarize.hearing import Sentence, hear_words_again, heard_again
from components.diarize.running import RunningSpeakers, speaker_name
