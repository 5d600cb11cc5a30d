"""Each embedding says whose voice it is, whatever its level, its batch and what is around it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pyannote.audio import Model
from safetensors.torch import load_file

from components.conversation import SAMPLE_RATE, SpeakerSegment
from components.diarize.demo.campplus import CamPlusPlus
from components.diarize.demo.resemblyzer import Resemblyzer

Talk = tuple[np.ndarray, list[SpeakerSegment]]

pytestmark = pytest.mark.models


@pytest.fixture(scope="module", params=[CamPlusPlus, Resemblyzer])
def model(request: pytest.FixtureRequest, models_home: Path) -> Model:
    network: Model = request.param()
    folder = "diarization-campplus" if request.param is CamPlusPlus else "diarization-demo"
    network.load_state_dict(load_file(models_home / folder / "embedding" / "model.safetensors"))
    return network.eval()


@pytest.fixture(scope="module")
def speech(dialogue: Talk) -> torch.Tensor:
    audio, _ = dialogue
    return torch.from_numpy(audio[: 10 * SAMPLE_RATE]).reshape(2, 1, -1)


def embed(model: Model, audio: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    with torch.inference_mode():
        return torch.nn.functional.normalize(model(audio, weights))


def test_voices_are_nearer_to_themselves_than_to_others(
    model: Model, voices: Callable[[int], Talk]
) -> None:
    audio, truth = voices(2)
    vectors: dict[str, list[torch.Tensor]] = {}
    for turn in truth:
        samples = audio[int(turn.start * SAMPLE_RATE) : int(turn.end * SAMPLE_RATE)]
        vector = embed(model, torch.from_numpy(samples)[None, None])[0]
        vectors.setdefault(turn.speaker, []).append(vector)
    (a, b) = vectors.values()
    own = min(float(x @ y) for group in (a, b) for x in group for y in group)
    assert own > max(float(x @ y) for x in a for y in b)


def test_batched_is_single(model: Model, speech: torch.Tensor) -> None:
    both = embed(model, speech)
    assert both.shape == (2, model.dimension)
    for n in range(2):
        torch.testing.assert_close(embed(model, speech[n : n + 1])[0], both[n], atol=1e-5, rtol=0)


def test_loudness_says_nothing(model: Model, speech: torch.Tensor) -> None:
    loud = speech * 2**15
    torch.testing.assert_close(embed(model, loud), embed(model, loud * 0.05), atol=1e-4, rtol=0)


def test_26_db_down_it_is_the_same_voice(model: Model, speech: torch.Tensor) -> None:
    # Below float32's epsilon CAM++ hears no mel: 5 % of them are lost here, 0.02 of the cosine.
    same = (embed(model, speech) * embed(model, speech * 0.05)).sum(dim=1)
    assert same.min() > 0.98


def test_only_what_the_weights_mark_is_heard(model: Model, speech: torch.Tensor) -> None:
    weights = torch.zeros(2, 250)
    weights[0, :125] = 1
    spoiled = speech.clone()
    spoiled[0, :, speech.shape[-1] // 2 + 400 :] = 0.5
    marked, same = embed(model, speech, weights), embed(model, spoiled, weights)
    torch.testing.assert_close(marked[0], same[0], atol=1e-2, rtol=0)
    assert marked[1].isnan().all()


def test_too_short_to_say(model: Model) -> None:
    with pytest.raises(ValueError, match="too few"):
        embed(model, torch.zeros(1, 1, 1000))
