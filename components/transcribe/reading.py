"""Whisper reads stretches of speech: in batches, and bit by bit what went wrong there.

Read once, a stretch of up to 30 s may end where Whisper stops, in the middle of it, or with one
word said a hundred times. WhisperX leaves it at that; on half-minutes of real meetings it was a
third of all word errors.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from itertools import islice
from threading import Semaphore
from typing import Any

import numpy as np

from components.base import NATIVE_THREADS, InputError, in_halves, spent_on
from components.conversation import SAMPLE_RATE, Seconds

BEAM = 5

MOST_REPEATED = 2.4
"""A text that can be compressed further than this repeats itself (Whisper's own threshold)."""

NO_SPEECH, IMPROBABLE = 0.6, -1.0
"""Nobody speaks where Whisper's probability of that is above the one and the mean log probability
of the words below the other (Whisper's own thresholds)."""

UNREAD: Seconds = 2.0
"""Words are missing where Whisper's last mark of time is farther from the stretch's end."""

REPEAT = 5
"""No so many tokens stand twice in a text that is read again because it repeated itself. Whisper's
own remedy is to draw words at random, which gives other words the next time."""

SILENCE = 2.0
"""How far below a spectrogram's peak Whisper's silence lies."""


ENDS = ".!?…。！？"

MAX_HINT = 100
"""Tokens of one hint: behind all that Whisper is told before, half of its window is free."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What a caller tells of the words, in Whisper's language.

    Attributes:
        hotwords: names and terms that may be said. A list without an end gets a full stop: behind
            words alone Whisper leaves out the marks between sentences.
        prompt: text that might have stood before: its spelling and style are taken up.
    """

    hotwords: str = ""
    prompt: str = ""

    def check(self, model: Any) -> None:
        """Refuse what is longer than the model (of `load_reader`) can be told.

        Raises:
            InputError: it has too many tokens.
        """
        for name in ("hotwords", "prompt"):
            text = getattr(self, name).strip()
            count = len(model.hf_tokenizer.encode(text, add_special_tokens=False).ids)
            if count > MAX_HINT:
                raise InputError(
                    f"{name}: has {count} tokens (a word has one or more); the recogniser takes"
                    f" {MAX_HINT}"
                )

    @property
    def before(self) -> str | None:
        """The prompt as faster-whisper takes it."""
        return self.prompt.strip() or None

    @property
    def terms(self) -> str | None:
        """The hotwords as faster-whisper takes them."""
        words = self.hotwords.strip()
        return None if not words else words if words[-1] in ENDS else f"{words}."


NO_HINTS = Hints()


@dataclass(frozen=True, slots=True)
class Reading:
    """What Whisper read in a stretch.

    Attributes:
        text: empty where nobody speaks.
        log_probability: mean of its tokens'.
    """

    text: str
    log_probability: float


def load_reader(model: str, device: str, **options: Any) -> Any:
    """A `faster_whisper.WhisperModel` that hears silence behind a short stretch.

    faster-whisper fills 30 s up with zeros, which on Whisper's scale are no silence but a noise
    that it never heard in training. On a CPU half of the workers encode at a time, a stretch each,
    while the others decode: the attention of 30 s to 30 s needs 50 MB (tiny) and more of each.

    Args:
        options: those of `WhisperModel`.
    """
    import ctranslate2
    import faster_whisper

    encoding = Semaphore(max(1, options.get("num_workers", 1) // 2))

    class Reader(faster_whisper.WhisperModel):
        def encode(self, features: np.ndarray) -> Any:
            whole, encode = with_silence(features), super().encode
            if device != "cpu":
                return encode(whole)
            # numpy has no bfloat16
            floats = self.model.compute_type.endswith("float32")
            if len(whole) == 1 or whole.ndim < 3 or not floats:
                with encoding:
                    return encode(whole)
            each = []
            for one in whole:
                with encoding:
                    each.append(np.asarray(encode(one)))
            return ctranslate2.StorageView.from_array(np.concatenate(each))

    return Reader(model, device, **options)


def with_silence(features: np.ndarray) -> np.ndarray:
    """Spectrograms [..., bins, frames], normalised as Whisper's are, with silence for zeros at the
    end."""
    sounding = (features != 0).any(-2, keepdims=True)
    before_end = np.flip(np.flip(sounding, -1).cumsum(-1), -1) > 0
    silence = features.max((-1, -2), keepdims=True) - SILENCE
    return np.where(before_end, features, silence).astype(features.dtype)


def read(
    model: Any,
    sounds: Iterable[np.ndarray],
    language: str,
    batch: int,
    hints: Hints = NO_HINTS,
    *,
    workers: int = 1,
) -> Generator[Reading, None, None]:
    """Read what is said.

    Args:
        model: of `load_reader`.
        sounds: float32 [samples], mono at 16 kHz, of at most 30 s each. They are taken as they are
            needed, `workers` + 1 batches ahead at most.
        language: a code that the model knows.
        batch: how many are read at once.
        hints: on the words.
        workers: how many batches are read side by side, in threads, while the caller works on what
            was read; 1: none, and in the caller's.

    Yields:
        One for each sound, in order; the same for the same sound, whatever it is read with.
    """
    if workers < 2:
        for group in _batches(sounds, batch):
            yield from _read_batch(model, group, language, hints)
        return
    waiting: deque[Future[list[Reading]]] = deque()
    with ThreadPoolExecutor(workers, "read") as pool:
        try:
            for group in _batches(sounds, batch):
                context = copy_context()
                waiting.append(pool.submit(context.run, _read_batch, model, group, language, hints))
                if len(waiting) > workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:  # what is being read is waited for, the rest is not begun
            for future in waiting:
                future.cancel()


def _batches(sounds: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    remaining = iter(sounds)
    while group := list(islice(remaining, size)):
        yield group


def _read_batch(
    model: Any, sounds: Sequence[np.ndarray], language: str, hints: Hints
) -> list[Reading]:
    def work(batch: Sequence[np.ndarray]) -> list[Reading]:
        return _generated(model, batch, language, hints)

    # CTranslate2's threads are nearly all that Python does not know.
    with spent_on("read"), NATIVE_THREADS.charged():
        return in_halves(work, sounds, "transcribe.batch_size")


def _generated(
    model: Any, sounds: Sequence[np.ndarray], language: str, hints: Hints
) -> list[Reading]:
    from faster_whisper.audio import pad_or_trim
    from faster_whisper.tokenizer import Tokenizer

    tokenizer = Tokenizer(
        model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language
    )
    before = tokenizer.encode(f" {hints.before}") if hints.before else []
    prompt = model.get_prompt(tokenizer, before, without_timestamps=False, hotwords=hints.terms)
    features = np.stack([pad_or_trim(model.feature_extractor(sound)[:, :-1]) for sound in sounds])
    results = model.model.generate(
        model.encode(features),
        [prompt] * len(sounds),
        beam_size=BEAM,
        max_length=model.max_length,
        return_scores=True,
        return_no_speech_prob=True,
    )
    return [
        _reading(model, tokenizer, sound, result, hints)
        for sound, result in zip(sounds, results, strict=True)
    ]


def _reading(model: Any, tokenizer: Any, sound: np.ndarray, result: Any, hints: Hints) -> Reading:
    from faster_whisper.transcribe import get_compression_ratio

    tokens = result.sequences_ids[0]
    # CTranslate2's score is a mean without the end's token.
    log_probability = result.scores[0] * len(tokens) / (len(tokens) + 1)
    if result.no_speech_prob > NO_SPEECH and log_probability < IMPROBABLE:
        return Reading("", log_probability)
    text = tokenizer.decode([token for token in tokens if token < tokenizer.eot]).strip()
    repeats = bool(text) and get_compression_ratio(text) > MOST_REPEATED
    # The last token is a mark of time, or the words go on to the end.
    marks = (tokens[-1] - tokenizer.timestamp_begin) * model.time_precision if tokens else 0.0
    unread = marks >= 0 and len(sound) / SAMPLE_RATE - marks > UNREAD
    if repeats or unread:
        repeat = REPEAT if repeats else 0
        return _read_again(model, sound, tokenizer.language_code, repeat, hints)
    return Reading(text, log_probability)


def _read_again(model: Any, sound: np.ndarray, language: str, repeat: int, hints: Hints) -> Reading:
    """As faster-whisper reads: from each last mark of time on, until the end."""
    segments, _ = model.transcribe(
        sound,
        language=language,
        beam_size=BEAM,
        temperature=0.0,
        no_repeat_ngram_size=repeat,
        condition_on_previous_text=False,
        initial_prompt=hints.before,
        hotwords=hints.terms,
    )
    parts = list(segments)
    lengths = [len(part.tokens) for part in parts]
    logs = [part.avg_logprob for part in parts]
    mean = float(np.average(logs, weights=lengths)) if sum(lengths) else IMPROBABLE
    return Reading("".join(part.text for part in parts).strip(), mean)
