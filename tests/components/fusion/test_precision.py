"""Half precision is for the encoders' layers; long sums and the spectrogram stay exact."""

from collections.abc import Callable

import torch
from torch import nn

from components.fusion.frontend import LogMel, masked_group_norm, masked_mean
from components.fusion.model import MoodlineModel
from components.fusion.pooling import masked_statistics

Make = Callable[..., MoodlineModel]


def test_long_sums_are_exact_under_autocast() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([2999, 1501])
    states, audio = 3 + torch.randn(2, 3000, 8), 0.1 * torch.randn(2, 8000)
    norm = nn.GroupNorm(8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mean = masked_mean(states, lengths)
        statistics = masked_statistics(1000 + states, lengths)
        of_half = masked_statistics(states.half(), lengths)
        normed = masked_group_norm(states.transpose(1, 2), lengths, norm)
        mel, _ = LogMel(80)(audio, torch.tensor([8000, 5000]))
    for index, length in enumerate([2999, 1501]):
        real = states[index, :length]
        assert torch.allclose(mean[index], real.mean(0), atol=1e-5)
        # Squares of a thousand leave single precision no tenth for a deviation of one.
        deviation = real.double().std(0, correction=0).float()
        assert torch.allclose(statistics[index, 8:], deviation, atol=1e-3)
        assert torch.allclose(of_half[index, 8:], deviation, atol=1e-3)
        expected = norm(real.T[None])[0]
        assert torch.allclose(normed[index, :, :length], expected, atol=1e-4)
    assert torch.equal(mel, LogMel(80)(audio, torch.tensor([8000, 5000]))[0])


def test_the_model_runs_in_half_precision(make_model: Make) -> None:
    model = make_model("wav2vec2")
    torch.manual_seed(0)
    batch = (0.1 * torch.randn(2, 9000), torch.tensor([9000, 4000]),
             torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]]), torch.tensor([4, 3]))  # fmt: skip
    with torch.inference_mode():
        exact = model(*batch).logits.softmax(-1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = model(*batch).logits.float().softmax(-1)
    difference = (half - exact).abs().max()
    assert 1e-6 < difference < 0.05
