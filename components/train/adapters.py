"""LoRA: low-rank changes of encoders that are too large to be fitted whole, by `peft`."""

import torch
from torch import nn

from components.base import InputError
from components.config import LoraSettings
from components.fusion.model import MoodlineModel


def add_adapters(model: MoodlineModel, settings: LoraSettings, seed: int) -> None:
    """Freeze both encoders, and give each linear layer of theirs a change that is fitted.

    Args:
        model: whose head is fitted whole.
        seed: of the changes' first weights.

    Raises:
        InputError: an encoder without a linear layer.
    """
    from peft import LoraConfig, inject_adapter_in_model

    torch.manual_seed(seed)
    for part in (model.acoustic, model.text):
        linear = [n for n, module in part.encoder.named_modules() if type(module) is nn.Linear]
        if not linear:
            raise InputError("train.lora: an encoder has no linear layer to change; fit it whole")
        config = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=linear,
        )
        # It freezes what it does not add.
        inject_adapter_in_model(config, part.encoder)


def merge_adapters(model: MoodlineModel) -> None:
    """Make the changes part of the encoders' own weights: a version is as any other one."""
    from peft.tuners.lora import LoraLayer

    for part in (model.acoustic, model.text):
        for name, layer in list(part.encoder.named_modules()):
            if isinstance(layer, LoraLayer):
                layer.merge()
                part.encoder.set_submodule(name, layer.get_base_layer())
    model.requires_grad_(True)
