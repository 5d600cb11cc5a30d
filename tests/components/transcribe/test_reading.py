"""Whisper reads a stretch to its end, and once."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from components.base import InputError
from components.config import load_profile
from components.conversation import SAMPLE_RATE, Word
from components.transcribe import Transcriber
from components.transcribe.reading import (
    NO_HINTS,
    Hints,
    Reading,
    _read_again,
    load_reader,
    read,
    with_silence,
)

pytestmark = pytest.mark.models


def test_silence_stands_where_a_spectrogram_ends() -> None:
    features = np.zeros((2, 3, 6), dtype=np.float32)
    features[0, :, :4] = 1.0
    features[0, :, 2] = 0.0  # a pause is no end
    features[1, :, :] = 0.5
    filled = with_silence(features)
    assert filled[0, 0].tolist() == [1, 1, 0, 1, -1, -1]
    assert (filled[1] == 0.5).all()
    assert (with_silence(features[0]) == filled[0]).all()


def test_a_batch_is_encoded_one_by_one_as_it_is_at_once(
    transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = transcriber._model
    own, sizes = super(type(model), model).encode, list[int]()

    def encode(_: object, features: np.ndarray) -> object:
        sizes.append(1 if features.ndim == 2 else len(features))
        return own(features)

    monkeypatch.setattr(type(model).__mro__[1], "encode", encode)
    features = np.random.default_rng(0).normal(0, 0.5, (3, 80, 3000)).astype(np.float32)
    at_once = np.asarray(own(features))
    assert at_once.shape[:2] == (3, 1500)
    np.testing.assert_allclose(np.asarray(model.encode(features)), at_once, atol=1e-4)
    assert sizes == [1, 1, 1]


def test_half_of_the_workers_encode_at_a_time(
    models_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(models_home / "whisper-tiny.en")
    model = load_reader(path, "cpu", compute_type="int8", cpu_threads=1, num_workers=4)
    going, most = 0, 0

    def encode(_: object, features: np.ndarray) -> np.ndarray:
        nonlocal going, most
        going += 1
        most = max(most, going)
        time.sleep(0.05)
        going -= 1
        return features

    monkeypatch.setattr(type(model).__mro__[1], "encode", encode)
    monkeypatch.setattr("ctranslate2.StorageView.from_array", lambda array: array)
    with ThreadPoolExecutor(4) as pool:
        for length in (1, 2):
            features = np.zeros((length, 80, 3000), dtype=np.float32)
            list(pool.map(lambda _, batch=features: model.encode(batch), range(8)))
            assert most == 2
            most = 0


def test_a_text_that_repeats_itself_is_read_again_without(
    transcriber: Transcriber,
    dialogue: tuple[np.ndarray, list[Word]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where any text counts as repeating, each stretch goes through the second reading."""
    sound = dialogue[0][: 8 * SAMPLE_RATE]
    (first,) = read(transcriber._model, [sound], "en", 1)
    monkeypatch.setattr("components.transcribe.reading.MOST_REPEATED", 0.0)
    (again,) = read(transcriber._model, [sound], "en", 1)
    assert again == _read_again(transcriber._model, sound, "en", 5, NO_HINTS)
    assert again == _read_again(transcriber._model, sound, "en", 5, NO_HINTS), (
        "no word is drawn at random"
    )
    assert again.text
    assert first.text


def test_what_was_left_unread_is_read(
    transcriber: Transcriber,
    dialogue: tuple[np.ndarray, list[Word]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A last mark of time far from the end: reading goes on behind it."""
    asked: list[int] = []

    def again(model: object, sound: np.ndarray, language: str, repeat: int, _: Hints) -> Reading:
        asked.append(repeat)
        return Reading("all of it", -0.1)

    monkeypatch.setattr("components.transcribe.reading._read_again", again)
    speech = dialogue[0][: 4 * SAMPLE_RATE]
    quiet = np.concatenate([speech, np.zeros(8 * SAMPLE_RATE, dtype=np.float32)])
    (reading,) = read(transcriber._model, [quiet], "en", 1)
    assert reading.text == "all of it"
    assert asked == [0]


def test_a_language_that_the_model_does_not_know(transcriber: Transcriber) -> None:
    with pytest.raises(InputError, match=r"language 'de': the model whisper-tiny\.en knows en$"):
        transcriber.transcribe(np.zeros(SAMPLE_RATE, dtype=np.float32), language="de")
    assert transcriber.language_of(np.zeros(SAMPLE_RATE, dtype=np.float32), "auto") == "en"
    assert load_profile("demo").transcribe.language == "en"


def test_batches_side_by_side_are_read_as_one_after_the_other(
    transcriber: Transcriber, dialogue: tuple[np.ndarray, list[Word]]
) -> None:
    sounds = [dialogue[0][n * 3 * SAMPLE_RATE :][: 3 * SAMPLE_RATE] for n in range(5)]
    alone = list(read(transcriber._model, sounds, "en", 1))
    taken: list[int] = []

    def given() -> Iterator[np.ndarray]:
        for number, sound in enumerate(sounds):
            taken.append(number)
            yield sound

    readings = read(transcriber._model, given(), "en", 1, workers=2)
    first = next(readings)
    assert taken == [0, 1, 2], "no more is held than is read"
    assert [first, *readings] == alone


def test_readers_end_with_whoever_wanted_their_words(
    transcriber: Transcriber, dialogue: tuple[np.ndarray, list[Word]]
) -> None:
    sounds = [dialogue[0][: 2 * SAMPLE_RATE]] * 6
    readings = read(transcriber._model, sounds, "en", 1, workers=2)
    next(readings)
    readings.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]

    def odd() -> Iterator[np.ndarray]:
        yield sounds[0]
        raise TimeoutError

    with pytest.raises(TimeoutError):
        list(read(transcriber._model, odd(), "en", 1, workers=2))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]
