"""A dialogue as a call centre records it: each speaker on a channel of their own."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from components.conversation import SAMPLE_RATE, SpeakerSegment, read_audio, read_words

CROSSTALK = 10 ** (-25 / 20)
DELAY = 80  # samples: 5 ms
NOISE = 1e-4


@dataclass(frozen=True)
class Sides:
    """The dialogue.

    Attributes:
        sound: float32 [channels, samples], with crosstalk and noise.
        spoken: who speaks when; the last two speak at once for a second.
        words: what is said on each channel.
    """

    sound: np.ndarray
    spoken: tuple[SpeakerSegment, ...]
    words: tuple[str, ...]

    def file(self, sound: np.ndarray | None = None) -> bytes:
        """As WAV; or another sound [channels, samples]."""
        file = io.BytesIO()
        sound = self.sound if sound is None else sound
        soundfile.write(file, sound.T, SAMPLE_RATE, format="WAV", subtype="PCM_16")
        return file.getvalue()


def sides(corpus: Path, channels: int = 2) -> Sides:
    """Three utterances of the demo's first dialogue, real recordings of its two voices."""
    (path,) = corpus.rglob("Ses01F_impro01.ogg")
    said = read_words(corpus / "truth" / "Ses01F_impro01.json")[:3]
    clean = np.zeros((channels, 9 * SAMPLE_RATE), np.float32)
    now, spoken, words = 0.5, [], [""] * channels
    for number, utterance in enumerate(said):
        speech, channel = read_audio(path, utterance.start, utterance.end), number % 2
        at = round(now * SAMPLE_RATE)
        clean[channel, at : at + len(speech)] += speech
        end = now + len(speech) / SAMPLE_RATE
        spoken.append(SpeakerSegment(now, end, f"CHANNEL_{channel + 1}"))
        words[channel] = f"{words[channel]} {utterance.text}".strip()
        now = end + (0.5 if number == 0 else -1.0)
    others = clean.sum(axis=0) - clean
    noise = np.random.default_rng(0).normal(0, NOISE, clean.shape)
    sound = clean + CROSSTALK * np.roll(others, DELAY, axis=1) + noise
    return Sides(sound.astype(np.float32), tuple(spoken), tuple(words))
