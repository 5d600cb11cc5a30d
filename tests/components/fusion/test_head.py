"""The head's equations, against torch's own layers put together independently."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from components.fusion.head import Attention, FusionLayer, MoodlineHead, sinusoidal_positions
from components.fusion.model import MoodlineModel
from components.fusion.pooling import pool

Make = Callable[..., MoodlineModel]


def torch_attention(module: Attention) -> nn.MultiheadAttention:
    """torch's multi-head attention with our weights."""
    width = module.query.in_features
    reference = nn.MultiheadAttention(width, module.heads, batch_first=True)
    with torch.no_grad():
        parts = (module.query, module.key, module.value)
        reference.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
        reference.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
        reference.out_proj.load_state_dict(module.out.state_dict())
    return reference.eval()


def torch_layer(module: FusionLayer) -> nn.TransformerEncoderLayer:
    """torch's Transformer encoder layer with our weights."""
    reference = nn.TransformerEncoderLayer(
        module.inner.in_features,
        module.attention.heads,
        module.inner.out_features,
        batch_first=True,
    )
    reference.self_attn = torch_attention(module.attention)
    reference.linear1, reference.linear2 = module.inner, module.outer
    reference.norm1, reference.norm2 = module.attention_norm, module.feed_forward_norm
    return reference.eval()


def attended(module: nn.Module, z: Tensor, other: Tensor) -> Tensor:
    """a = LayerNorm(MHA(z, other, other) + z)."""
    mixed, _ = torch_attention(module.attention)(z, other, other, need_weights=False)
    normed = nn.functional.layer_norm(mixed + z, z.shape[-1:])
    return normed * module.norm.weight + module.norm.bias


def gated(module: nn.Module, z: Tensor, a: Tensor) -> Tensor:
    """h = ReLU(z + σ(W[z; a]) ⊙ V a)."""
    w, v = module.gate, module.value
    gate = 1 / (1 + torch.exp(-(torch.cat([z, a], -1) @ w.weight.T + w.bias)))
    return torch.clamp(z + gate * (a @ v.weight.T + v.bias), min=0)


def expected(head: MoodlineHead, z_a: Tensor, z_t: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and embedding of one clip, by the equations of the design; z are [1, n, d]."""
    h_ta = gated(head.text_gate, z_t, attended(head.text_asks, z_t, z_a)).mean(1)
    h_at = gated(head.acoustic_gate, z_a, attended(head.acoustic_asks, z_a, z_t)).mean(1)
    d = h_ta.shape[-1]
    rates = [10_000 ** (2 * (i // 2) / d) for i in range(d)]
    second = [[torch.sin, torch.cos][i % 2](torch.tensor(1 / rates[i])) for i in range(d)]
    first = [float(i % 2) for i in range(d)]
    fused = torch.stack([h_ta, h_at], 1) + torch.tensor([first, second])
    for layer in head.layers:
        fused = torch_layer(layer)(fused)
    embedding = (fused[:, 0] + fused[:, 1]) / 2
    return embedding @ head.classifier.weight.T + head.classifier.bias, embedding


@pytest.mark.parametrize("attend", ["pooled", "frames"])
def test_the_head_follows_the_equations(make_model: Make, attend: str) -> None:
    head = make_model("wav2vec2", attend=attend).head
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        frames, tokens = torch.randn(1, 9, 32), torch.randn(1, 5, 32)
        z_a = frames if attend == "frames" else frames.mean(1, keepdim=True)
        z_t = tokens if attend == "frames" else tokens.mean(1, keepdim=True)
        logits, embedding = expected(head, z_a, z_t)
        if attend == "frames":
            # The same clip padded: what lies beyond its lengths must not count.
            output = head(
                torch.cat([frames, 9 * torch.ones(1, 3, 32)], 1),
                torch.tensor([9]),
                torch.cat([tokens, 9 * torch.ones(1, 2, 32)], 1),
                torch.tensor([5]),
            )
        else:
            one = torch.tensor([1])
            output = head(z_a, one, z_t, one)
    assert torch.allclose(output.embedding, embedding, atol=1e-5)
    assert torch.allclose(output.logits, logits, atol=1e-5)


@pytest.mark.parametrize("attend", ["pooled", "frames"])
def test_queries_and_keys_are_inert_only_when_pooled(make_model: Make, attend: str) -> None:
    head = make_model("wav2vec2", attend=attend).head
    lengths = torch.tensor([6, 4]), torch.tensor([5, 3])
    torch.manual_seed(0)
    states = [torch.randn(2, 6, 32), torch.randn(2, 5, 32)]
    if attend == "pooled":
        states = [pool(x, n, "mean")[:, None] for x, n in zip(states, lengths, strict=True)]
    output = head(states[0], lengths[0], states[1], lengths[1])
    nn.functional.cross_entropy(output.logits, torch.tensor([0, 3])).backward()
    for asks in (head.text_asks.attention, head.acoustic_asks.attention):
        most = asks.value.weight.grad.abs().max()
        assert most > 1e-9
        for projection in (asks.query, asks.key):
            # A softmax over one key is 1 whatever the query, but for the last bit of a float.
            moved = projection.weight.grad.abs().max() > 1e-5 * most
            assert bool(moved) == (attend == "frames")


def test_the_modalities_are_projected_where_sizes_differ(make_model: Make) -> None:
    assert make_model("whisper").head.acoustic.projection.weight.shape == (32, 48)
    assert isinstance(make_model("hubert").head.acoustic.projection, nn.Identity)


def test_the_paper_has_eight_heads_two_layers_and_2048() -> None:
    from components.fusion.config import MoodlineConfig

    config = MoodlineConfig()
    assert (config.heads, config.layers, config.feed_forward, config.dropout) == (8, 2, 2048, 0.2)
    assert (config.attend, config.hidden_size) == ("pooled", 768)
    assert config.id2label == {0: "angry", 1: "happy", 2: "neutral", 3: "sad"}


def test_positions_are_sines_and_cosines() -> None:
    table = sinusoidal_positions(2, 4)
    assert torch.allclose(table[0], torch.tensor([0.0, 1.0, 0.0, 1.0]))
    rates = torch.tensor([1.0, 1.0, 0.01, 0.01])
    assert torch.allclose(table[1, ::2], torch.sin(rates[::2]))
    assert torch.allclose(table[1, 1::2], torch.cos(rates[1::2]))


def test_layers_are_mixed_by_a_softmax_of_learned_weights(make_model: Make) -> None:
    modality = make_model("whisper", use_weighted_layer_sum=True).head.acoustic
    torch.manual_seed(0)
    states = torch.randn(5, 3, 48)  # the first layer's input and the outputs of two layers
    with torch.no_grad():
        modality.mean.copy_(states.mean(0).flatten())
        modality.scale.copy_(states.std(0).flatten())
        modality.layer_weights.copy_(torch.tensor([0.0, 1.0, 2.0]))
        given = modality(states.flatten(1))
    standard = (states - states.mean(0)) / states.std(0)
    shares = torch.exp(torch.arange(3.0)) / torch.exp(torch.arange(3.0)).sum()
    mixed = sum(shares[i] * standard[:, i] for i in range(3))
    assert torch.allclose(given, modality.projection(mixed), atol=1e-5)
    # The paper's form has no such weights: versions of before load as they are.
    assert "layer_weights" not in dict(make_model("whisper").head.acoustic.named_parameters())
