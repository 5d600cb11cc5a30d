"""Gradient checkpointing: layers are computed twice, to the same gradients."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch

from components.fusion.model import MoodlineModel

Make = Callable[..., MoodlineModel]
WATCHED = {
    "wav2vec2": ("acoustic.encoder.feature_extractor.conv_layers.0.conv",
                 "acoustic.encoder.encoder.layers.1.attention"),
    "wav2vec2-layer": ("acoustic.encoder.feature_extractor.conv_layers.6.conv",
                       "acoustic.encoder.encoder.layers.1.attention"),
    "whisper": ("acoustic.encoder.layers.1.self_attn",),
}  # fmt: skip


@pytest.mark.parametrize("kind", WATCHED)
def test_layers_are_computed_twice_to_the_same_gradients(make_model: Make, kind: str) -> None:
    model = make_model(kind, dropout=0.0).train()
    for module in model.modules():
        # Without chance, so that two backward passes can be compared.
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for name in ("dropout", "dropout_prob", "attention_dropout", "activation_dropout"):
        for module in model.modules():
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    torch.manual_seed(0)
    batch = (0.1 * torch.randn(2, 9000), torch.tensor([9000, 4000]),
             torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]]), torch.tensor([4, 3]))  # fmt: skip
    passes: list[str] = []
    for name in (*WATCHED[kind], "text.encoder.encoder.layer.1.attention"):
        model.get_submodule(name).register_forward_hook(lambda *_, name=name: passes.append(name))

    def gradients() -> dict[str, torch.Tensor]:
        passes.clear()
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(*batch).logits, torch.tensor([1, 3])).backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    plain, once = gradients(), Counter(passes)
    assert len(once) == len(WATCHED[kind]) + 1
    model.gradient_checkpointing_enable({"use_reentrant": False})
    again = gradients()
    assert Counter(passes) == {name: 2 * count for name, count in once.items()}
    assert plain.keys() == again.keys()
    for name, gradient in plain.items():
        assert torch.allclose(gradient, again[name], atol=1e-6), name
    # Nothing is computed twice where nothing is fitted.
    passes.clear()
    model.eval()(*batch)
    assert Counter(passes) == once
