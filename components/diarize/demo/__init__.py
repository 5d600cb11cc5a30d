"""The demo profile's small diarizer, as a pyannote.audio pipeline."""
