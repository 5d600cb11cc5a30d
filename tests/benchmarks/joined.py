"""The demo corpus joined to one recording, and whisperX's own way to hear it.

python -m tests.benchmarks.joined OUT.wav
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from components.config import DiarizeSettings, Settings, TranscribeSettings, resolve_model
from components.conversation import SAMPLE_RATE, read_audio

DEMO = Path(__file__).resolve().parents[2] / "components" / "corpus" / "demo"


def dialogues() -> list[np.ndarray]:
    """The sound of each dialogue, float32 [samples] at 16 kHz."""
    return [read_audio(path) for path in sorted(DEMO.rglob("*.ogg"))]


def joined(seconds: float = float("inf")) -> np.ndarray:
    """Ten voices in 20 dialogues one after the other, 14.4 minutes: float32 [samples] at 16 kHz."""
    whole = np.concatenate(dialogues())
    return whole[: int(min(seconds * SAMPLE_RATE, len(whole)))]


class WhisperX:
    """whisperX's code path with our weights: its voice activity detection, its batched Whisper, its
    diarization by pyannote in torch. No word times.

    Args:
        words, speakers: the profile's.
        cores: how many threads Whisper has; torch has as many by itself.
    """

    def __init__(
        self, words: TranscribeSettings, speakers: DiarizeSettings, settings: Settings, cores: int
    ) -> None:
        import torch
        import whisperx
        from pyannote.audio.pipelines import SpeakerDiarization
        from whisperx.diarize import DiarizationPipeline

        self._model = whisperx.load_model(
            resolve_model(words.model, settings),
            "cpu",
            compute_type=words.compute_type,
            language=words.language,
            threads=cores,
        )
        self._batch = words.batch_size
        diarize = DiarizationPipeline(resolve_model(speakers.pipeline, settings), device="cpu")
        # The same networks under pyannote's pipeline as it is: no graph, no second look.
        pipeline: Any = diarize.model
        pipeline.to(torch.device("cpu"))
        pipeline._embedding.model_.graph = None
        pipeline.segmentation_batch_size = 32
        pipeline.apply = lambda file, **options: SpeakerDiarization.apply(pipeline, file, **options)
        self._diarize = diarize

    def __call__(self, audio: np.ndarray) -> tuple[str, int]:
        """What was said, and how many speakers were found."""
        segments = self._model.transcribe(audio, batch_size=self._batch)["segments"]
        speakers = self._diarize(audio)
        text = " ".join(segment["text"].strip() for segment in segments)
        return text, speakers["speaker"].nunique()


if __name__ == "__main__":
    import soundfile

    soundfile.write(sys.argv[1], joined(), SAMPLE_RATE)
