"""Hugging Face's Trainer with two learning rates, and the same sums in one process or several."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer

from components.train.batches import EpochBatches, EpochLoader, collate
from components.train.processes import sum_over_processes


class WindowTrainer(Trainer):
    """Two learning rates, weights of classes, batches in an order of their own.

    Args:
        batch_size: of all processes together.
        encoder_rate: the learning rate of what is not the head.
        class_weights: [4] for the loss, or None.
    """

    def __init__(
        self,
        *args: Any,
        batch_size: int,
        encoder_rate: float,
        class_weights: Tensor | None,
        **kwargs: Any,
    ) -> None:
        self.batch_size = batch_size
        self.encoder_rate = encoder_rate
        self.class_weights = class_weights
        super().__init__(*args, data_collator=collate, **kwargs)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Cross-entropy, each class with its weight, averaged over every process's examples.

        Processes average their gradients; so each divides by its part of the whole batch's weight,
        which makes the average the whole batch's, however it was shared out.
        """
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        logits = outputs.logits.float()
        weights = torch.ones_like(logits[0])
        if self.class_weights is not None:
            weights = self.class_weights.to(logits.device)
        total = nn.functional.cross_entropy(logits, labels, weights, reduction="sum")
        loss = total * self.args.world_size / sum_over_processes(weights[labels].sum())
        return (loss, outputs) if return_outputs else loss

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """The logits and labels of a validation batch; their loss is counted over all of them."""
        inputs = self._prepare_inputs(inputs)
        labels = inputs.pop("labels")
        with torch.no_grad(), self.compute_loss_context_manager():
            return None, model(**inputs).logits.float(), labels

    def get_train_dataloader(self) -> DataLoader:
        """This process's share of each batch."""
        items: Any = self.train_dataset
        share = (self.args.process_index, self.args.world_size)
        batches = EpochBatches(items, self.batch_size, self.args.seed, *share)
        pinned = self.args.dataloader_pin_memory
        return EpochLoader(items, batch_sampler=batches, collate_fn=collate, pin_memory=pinned)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW; encoders at their own rate, no decay of biases and norms."""
        if self.optimizer is None:
            decayed = set(self.get_decay_parameter_names(self.model))
            groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
            module: Any = self.model
            for name, parameter in module.named_parameters():
                if parameter.requires_grad:
                    kind = (name.startswith(("acoustic.encoder", "text.encoder")), name in decayed)
                    groups.setdefault(kind, []).append(parameter)
            self.optimizer = torch.optim.AdamW(
                [
                    {
                        "params": parameters,
                        "lr": self.encoder_rate if encoder else self.args.learning_rate,
                        "weight_decay": self.args.weight_decay if decay else 0.0,
                    }
                    for (encoder, decay), parameters in sorted(groups.items(), key=lambda g: g[0])
                ],
                # One pass over the weights instead of a dozen.
                fused=True,
            )
        return self.optimizer
