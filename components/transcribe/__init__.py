"""Audio to words: WhisperX, with word times from the best means at hand."""

from components.transcribe.corpus import transcribe_corpus
from components.transcribe.reading import Hints
from components.transcribe.transcriber import Transcriber
