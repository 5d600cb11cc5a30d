"""Clips that are cut already: their answers are those they get alone."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from components.conversation import DEFAULT_LABELS
from components.fusion import load_tokenizer
from serving.supervisor.serve import Serving
from tests.serving.helpers import post, upload, wav

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(300)]


def test_clips_get_the_answers_they_get_alone(
    service: Serving,
    models: dict[int, Path],
    alone: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> None:
    dice = np.random.default_rng(7)
    sounds = [(dice.normal(size=n) * 0.2).astype("f4") for n in (16_000, 40_000, 3_200)]
    texts = ["hello", "", "yes a hello"]
    clips = [("audio", (f"{n}.wav", wav(sound))) for n, sound in enumerate(sounds)]
    response = post(service, "classify", files=clips, data={"text": texts})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["model"] == {"name": "moodline", "version": "3", "labels": list(DEFAULT_LABELS)}
    tokenizer = load_tokenizer(models[3])
    for sound, text, clip in zip(sounds, texts, answer["clips"], strict=True):
        expected = alone(models[3], sound, np.array(tokenizer.encode(text).ids))[0]
        assert list(clip["probabilities"]) == list(DEFAULT_LABELS)
        np.testing.assert_allclose(list(clip["probabilities"].values()), expected, atol=1e-4)
        assert clip["emotion"] == DEFAULT_LABELS[int(expected.argmax())]


def test_clips_of_any_format(service: Serving) -> None:
    tone = 0.3 * np.sin(np.arange(44_100) / 7)
    files = []
    for suffix in ("wav", "flac", "ogg"):
        file = io.BytesIO()
        soundfile.write(file, np.column_stack([tone, tone]), 44_100, format=suffix.upper())
        files += upload(file.getvalue(), f"a.{suffix}")
    response = post(service, "classify", files=files, data={"text": ["yes"] * 3})
    found = [clip["probabilities"]["sad"] for clip in response.json()["clips"]]
    assert found == pytest.approx([found[0]] * 3, abs=0.02)


CLIP = ("audio", ("a.wav", wav(np.zeros(1_600))))


BAD_CLIPS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no text": ({"files": [CLIP]}, 422, "“text”"),
    "two texts": ({"files": [CLIP], "data": {"text": ["a", "b"]}}, 422, "one text for each"),
    "noise": (
        {"files": [CLIP, ("audio", ("b.wav", b"noise"))], "data": {"text": ["a", "b"]}},
        415,
        "clip 2",
    ),
    "too many": ({"files": [CLIP] * 65, "data": {"text": ["a"] * 65}}, 413, "at most 64"),
    "too long": (
        {"files": upload(wav(np.zeros(301 * 4_000), 4_000)), "data": {"text": "a"}},
        413,
        "longer than 300 seconds",
    ),
}


@pytest.mark.parametrize("case", BAD_CLIPS)
def test_wrong_clips_are_refused_in_one_sentence(service: Serving, case: str) -> None:
    request, status, words = BAD_CLIPS[case]
    response = post(service, "classify", **request)
    assert response.status_code == status, response.text
    assert words in response.json()["detail"]
