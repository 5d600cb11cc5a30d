"""Word times from Whisper's own cross-attention, as faster-whisper's `word_timestamps` has them.

Rougher than forced alignment (a tenth of a second against a hundredth), but it hardly ever fails.
"""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np

from components.transcribe.word_times import AlignmentError, WordTime


class AttentionAligner:
    """Alignment by the model that recognised the words.

    Args:
        model: a `faster_whisper.WhisperModel`.
        language: of the words: a code that the model knows.
    """

    def __init__(self, model: Any, language: str) -> None:
        from faster_whisper.tokenizer import Tokenizer

        self._model = model
        self._tokenizer = Tokenizer(
            model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language
        )

    def __call__(self, audio: np.ndarray, words: Sequence[str]) -> list[WordTime | None]:
        """Place the words.

        Raises:
            AlignmentError: there is nothing to align, or the tokens do not spell the words.
        """
        from faster_whisper.audio import pad_or_trim

        if not words or len(audio) == 0:
            raise AlignmentError("nothing to align")
        # Each word's own tokens, so that times map back to the words given.
        tokens = [self._tokenizer.encode(f" {word}") for word in words]
        features = self._model.feature_extractor(audio)
        frames = min(features.shape[-1], self._model.feature_extractor.nb_max_frames)
        encoded = self._model.encode(pad_or_trim(features))
        start, text = self._tokenizer.sot_sequence, [list(chain.from_iterable(tokens))]
        try:
            result = self._model.model.align(encoded, start, text, frames, median_filter_width=7)[0]
        except (RuntimeError, ValueError) as error:
            raise AlignmentError(str(error)) from None
        return _times(result, [len(word) for word in tokens], self._model.tokens_per_second)


def _times(result: Any, lengths: Sequence[int], rate: float) -> list[WordTime | None]:
    """The words' times from pairs (token, time step) of the alignment path.

    As in faster-whisper's `find_alignment`: a token begins where the path first reaches it, and a
    word ends where the next begins.
    """
    first: dict[int, int] = {}
    for token, step in result.alignments:
        first.setdefault(token, step)
    if not first:
        raise AlignmentError("the attention has no path")
    last = max(step for _, step in result.alignments)
    times: list[WordTime | None] = []
    for begin, end in pairwise([0, *np.cumsum(lengths).tolist()]):
        start = first.get(begin, last) / rate
        score = float(np.mean(result.text_token_probs[begin:end]))
        times.append(WordTime(start, max(first.get(end, last) / rate, start), score))
    return times
