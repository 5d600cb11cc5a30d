"""Word times by forced alignment with pocketsphinx, whose wheel holds an acoustic model of English.

Its dictionary has 135,000 words. Others (names, numbers, a word cut short) get a pronunciation
from their letters, rough but good enough to find where they are.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice
from threading import Lock

import numpy as np

from components.conversation import SAMPLE_RATE
from components.transcribe.word_times import AlignmentError, WordTime

FRAME = 0.01  # seconds
PEAK = 0.7  # of full scale: quiet recordings are brought up before they become 16-bit

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SYMBOLS = {"%": "percent", "&": "and", "$": "dollars", "£": "pounds", "€": "euros", "+": "plus"}

# Letters to sounds, longest first; a letter that is not here is silent.
SOUNDS = {
    "tch": "CH", "igh": "AY",
    "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "ck": "K", "ng": "NG", "qu": "K W", "wh": "W",
    "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW", "oa": "OW", "ai": "EY", "ay": "EY",
    "oi": "OY", "oy": "OY", "au": "AO", "aw": "AO", "er": "ER", "ir": "ER", "ur": "ER",
    "ar": "AA R", "or": "AO R",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH",
    "j": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R",
    "s": "S", "t": "T", "u": "AH", "v": "V", "w": "W", "x": "K S", "y": "IY", "z": "Z",
}  # fmt: skip
LETTERS = re.compile("|".join(sorted(SOUNDS, key=len, reverse=True)))


class PhoneticAligner:
    """Forced alignment of an English text, 10 ms frames; threads may share it."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        # Wide beams: the text is known, so a lost path is a lost segment. No search for a better
        # path in the lattice: of a known text there is none, it takes half of the time, and fails
        # in every second long segment, whose words then get the rougher times of the attention.
        self._decoder = Decoder(
            lm=None, loglevel="FATAL", cmn="batch", beam=1e-100, pbeam=1e-100, wbeam=1e-80,
            bestpath=False,
        )  # fmt: skip
        # It remembers what it aligns. Python's lock, which it keeps while it works, would hold
        # others up anyway.
        self._one_at_a_time = Lock()

    def __call__(self, audio: np.ndarray, words: Sequence[str]) -> list[WordTime | None]:
        """Place the words; those with nothing to pronounce in them get None.

        Raises:
            AlignmentError: the text does not fit the audio.
        """
        spoken = [list(_spoken(word)) for word in words]
        tokens = [token for parts in spoken for token in parts]
        if not tokens or len(audio) == 0:
            raise AlignmentError("nothing to align")
        with self._one_at_a_time:
            for token in tokens:
                if self._decoder.lookup_word(token) is None:
                    sounds = " ".join(SOUNDS[letters] for letters in LETTERS.findall(token))
                    self._decoder.add_word(token, sounds)
            spans = self._align(audio, " ".join(tokens))
        if len(spans) != len(tokens):
            raise AlignmentError(f"{len(tokens)} words went in, {len(spans)} came out")
        remaining, times = iter(spans), []
        for parts in spoken:
            word = list(islice(remaining, len(parts)))
            times.append(WordTime(word[0][0], word[-1][1]) if word else None)
        return times

    def _align(self, audio: np.ndarray, text: str) -> list[tuple[float, float]]:
        peak = float(np.abs(audio).max())
        samples = (audio * (PEAK * 32767 / max(peak, 1e-6))).astype(np.int16)
        limit = len(audio) / SAMPLE_RATE
        try:
            # What it heard before would move words by a frame.
            self._decoder.reinit_feat()
            self._decoder.set_align_text(text)
            self._decoder.start_utt()
            try:
                self._decoder.process_raw(samples.tobytes(), full_utt=True)
            finally:
                self._decoder.end_utt()
            if self._decoder.hyp() is None:
                raise AlignmentError("the text was not found in the audio")
            return [
                (segment.start_frame * FRAME, min((segment.end_frame + 1) * FRAME, limit))
                for segment in self._decoder.seg()
                if segment.word[0] not in "<["  # silence and noise
            ]
        except RuntimeError as error:
            raise AlignmentError(str(error)) from None


def _spoken(word: str) -> Iterator[str]:
    """A written word as words for the dictionary: plain, lower-case, digits one by one."""
    plain = unicodedata.normalize("NFKD", word).lower().replace("’", "'")
    for part in re.findall(r"[a-z']+|\d|[%&$£€+]", plain):
        if part.isdigit():
            yield DIGITS[int(part)]
        elif part in SYMBOLS:
            yield SYMBOLS[part]
        elif re.search("[a-z]", part):
            yield part.strip("'") if part.startswith("'") and part.endswith("'") else part
