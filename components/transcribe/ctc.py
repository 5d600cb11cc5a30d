"""Word times by WhisperX's own alignment, with a wav2vec 2.0 CTC model (Bain et al. 2023)."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from components.conversation import SAMPLE_RATE
from components.transcribe.word_times import AlignmentError, WordTime


class CtcAligner:
    """`whisperx.align` on one segment at a time, so that one that fails costs no other.

    Args:
        language: of the text; its model is WhisperX's choice.
        model: another CTC model: a name on the hub, or a folder.
        device: "cpu" or "cuda".
        state: a folder for the rules of sentence splitting, which whisperx would download.
    """

    def __init__(self, language: str, model: str | None, device: str, state: Path) -> None:
        import whisperx

        _provide_punkt(state)
        self._device = device
        self._model, self._metadata = whisperx.load_align_model(language, device, model)

    def __call__(self, audio: np.ndarray, words: Sequence[str]) -> list[WordTime | None]:
        """Place the words; those that CTC gives no time get None.

        Raises:
            AlignmentError: no word could be placed.
        """
        import whisperx

        segment = {"start": 0.0, "end": len(audio) / SAMPLE_RATE, "text": " ".join(words)}
        try:
            aligned = whisperx.align([segment], self._model, self._metadata, audio, self._device)
        except (RuntimeError, ValueError, IndexError, KeyError) as error:
            raise AlignmentError(f"{type(error).__name__}: {error}") from None
        timed = [word for part in aligned["segments"] for word in part["words"]]
        times: list[WordTime | None] = [None] * len(words)
        # whisperx can lose or reorder words: those that match keep their times
        match = SequenceMatcher(a=list(words), b=[word["word"] for word in timed], autojunk=False)
        for block in match.get_matching_blocks():
            for offset in range(block.size):
                times[block.a + offset] = _time(timed[block.b + offset])
        if not any(times):
            raise AlignmentError("no word was placed")
        return times


def has_model(language: str) -> bool:
    """Whether WhisperX names a CTC model for a language."""
    from whisperx.alignment import DEFAULT_ALIGN_MODELS_HF, DEFAULT_ALIGN_MODELS_TORCH

    return language in DEFAULT_ALIGN_MODELS_HF or language in DEFAULT_ALIGN_MODELS_TORCH


def _time(word: dict) -> WordTime | None:
    start, end = word.get("start"), word.get("end")
    if start is None or end is None or not start <= end:
        return None
    return WordTime(float(start), float(end), word.get("score"))


def _provide_punkt(state: Path) -> None:
    """Give nltk rules for splitting sentences, where it has none and could not download them.

    The words' times do not depend on where sentences are split.
    """
    import nltk
    from nltk.tokenize.punkt import PunktParameters, save_punkt_params

    try:
        nltk.data.find("tokenizers/punkt_tab/english/")
    except LookupError:
        state = state.resolve()
        if str(state) not in nltk.data.path:  # nltk reads and writes only below these
            nltk.data.path.append(str(state))
        rules = state / "tokenizers" / "punkt_tab" / "english"
        rules.mkdir(parents=True, exist_ok=True)
        save_punkt_params(PunktParameters(), dir=str(rules))
