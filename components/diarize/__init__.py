"""Audio to speaker segments: a pyannote.audio pipeline."""

from components.diarize.corpus import diarize_corpus
from components.diarize.diarizer import Diarization, Diarizer
