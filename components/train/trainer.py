"""Hugging Face's Trainer over windows, with the same sums in one process or in several.

Two learning rates, weights of classes, and padded batches that are the same in every run and
however many processes there are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from accelerate.utils import reduce
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler
from transformers import Trainer

from components.fusion.onnx_model import pad
from components.train.windows import Item, columns_of

GROUP = 16
"""Batches of sound whose windows are sorted by length together."""


class EpochItems(Sequence[Item]):
    """Training windows that an epoch may have in other conditions.

    Args:
        items: as they are.
        vary: an item as an epoch has it, by the item's index and the epoch; the same at every call,
            so that a resumed run hears the same.

    Attributes:
        epoch: from 0; the training loop sets it.
    """

    def __init__(self, items: Sequence[Item], vary: Callable[[int, int], Item]) -> None:
        self.items = items
        self.columns = columns_of(items)
        self.vary = vary
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.vary(index, self.epoch)


class EpochBatches(Sampler[list[int]]):
    """Each epoch's batches in an order of its own, and of each batch one process's share.

    Windows of sound are batched by length, since padding costs time; states are batched at random.
    The order depends only on the seed and the epoch, so a resumed run sees the same batches.

    Args:
        batch_size: of all processes together.
        rank: this process.
        processes: how many there are; the last batch is never smaller than that.
    """

    def __init__(
        self, items: Sequence[Item], batch_size: int, seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        columns = columns_of(items)
        self.lengths, self.sound = columns.lengths, columns.sound
        self.batch_size = batch_size
        self.seed = seed
        self.rank, self.processes = rank, processes
        self.epoch = 0
        whole, rest = divmod(len(items), batch_size)
        # A rest too small to give every process something joins the batch before it.
        self.count = max(whole + (rest >= processes), 1)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        if self.sound:
            group = GROUP * self.batch_size
            groups = [order[i : i + group] for i in range(0, len(order), group)]
            order = [i for g in groups for i in sorted(g, key=lambda i: self.lengths[i])]
        bounds = [*range(0, self.count * self.batch_size, self.batch_size), len(order)]
        for number in torch.randperm(self.count, generator=generator).tolist():
            batch = order[bounds[number] : bounds[number + 1]]
            yield batch[self.rank :: self.processes]


class EpochLoader(DataLoader):
    """The batches of an epoch, which the training loop sets."""

    batch_sampler: EpochBatches

    def set_epoch(self, epoch: int) -> None:
        """Go to this epoch's order and conditions."""
        self.batch_sampler.epoch = epoch
        if isinstance(self.dataset, EpochItems):
            self.dataset.epoch = epoch


def collate(items: Sequence[Item]) -> dict[str, np.ndarray]:
    """A padded batch: of states for the head, of sound and token ids for the whole model.

    Arrays, not tensors: those would come from a reading process through shared memory, of which a
    container has 64 MB.
    """
    labels = np.array([item["label"] for item in items])
    acoustic = [item["acoustic"] for item in items]
    text = [item["text"] for item in items]
    if acoustic[0].ndim == 2:
        names = ("acoustic_states", "acoustic_lengths", "text_states", "text_lengths")
    else:
        names = ("audio", "audio_lengths", "input_ids", "text_lengths")
    arrays = (*pad(acoustic, acoustic[0].dtype), *pad(text, text[0].dtype))
    return {**dict(zip(names, arrays, strict=True)), "labels": labels}


def tensors_of(batch: Mapping[str, Any]) -> dict[str, Tensor]:
    """A batch's arrays as tensors; what is a tensor stays."""
    return {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in batch.items()
    }


class WindowTrainer(Trainer):
    """The Trainer with this module's losses, batches and learning rates.

    Args:
        batch_size: of all processes together.
        encoder_rate: the learning rate of what is not the head.
        class_weights: [k] for the loss, or None.
        accumulate: in how many parts a process computes its share of a batch.
    """

    def __init__(
        self,
        *args: Any,
        batch_size: int,
        encoder_rate: float,
        class_weights: Tensor | None,
        accumulate: int = 1,
        **kwargs: Any,
    ) -> None:
        self.accumulate = accumulate
        self.batch_size = batch_size
        self.encoder_rate = encoder_rate
        self.class_weights = class_weights
        super().__init__(*args, data_collator=collate, **kwargs)

    def compute_loss(self, model: nn.Module, inputs: Any, *_: Any, **__: Any) -> Any:
        """Cross-entropy, each class with its weight, averaged over every process's examples.

        Processes average their gradients. So each divides by its part of the whole batch's weight,
        and the average is that of the whole batch, however it was shared out.
        """
        return self._loss(model, inputs, self._weight(inputs["labels"]))

    def _loss(self, model: nn.Module, inputs: dict[str, Tensor], whole: Tensor) -> Tensor:
        labels = inputs.pop("labels")
        logits, weights = model(**inputs).logits.float(), self.class_weights
        weights = None if weights is None else weights.to(logits.device)
        total = nn.functional.cross_entropy(logits, labels, weights, reduction="sum")
        return total * self.args.world_size / whole

    def _weight(self, labels: Tensor) -> Tensor:
        """Of all processes' examples in a batch."""
        if self.class_weights is None:
            return reduce(torch.ones_like(labels, dtype=torch.float32).sum(), "sum")
        return reduce(self.class_weights.to(labels.device)[labels].sum(), "sum")

    def training_step(self, model: nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        """A step over a batch; in parts, if asked for, whose gradients add up to the same."""
        if self.accumulate == 1:
            return super().training_step(model, inputs, *args, **kwargs)
        model.train()
        inputs = self._prepare_inputs(inputs)
        whole, size = self._weight(inputs["labels"]), len(inputs["labels"])
        parts = [r for r in np.array_split(np.arange(size), self.accumulate) if len(r)]
        loss = torch.zeros((), device=whole.device)
        for number, rows in enumerate(parts, start=1):
            part = {name: value[rows[0] : rows[-1] + 1] for name, value in inputs.items()}
            # Processes add up their gradients once.
            last = number == len(parts)
            with nullcontext() if last else self.accelerator.no_sync(model):
                with self.compute_loss_context_manager():
                    share = self._loss(model, part, whole)
                self.accelerator.backward(share)
            loss += share.detach()
        return loss

    def floating_point_ops(self, inputs: Any) -> int:
        """Of a batch, as the Trainer counts them."""
        return super().floating_point_ops(tensors_of(inputs))

    def _prepare_inputs(self, inputs: Any) -> Any:
        return super()._prepare_inputs(tensors_of(inputs))

    def prediction_step(
        self, model: nn.Module, inputs: Any, *_: Any, **__: Any
    ) -> tuple[None, Tensor, Tensor]:
        """The logits and labels of a validation batch; the loss is computed over all batches."""
        inputs = self._prepare_inputs(inputs)
        labels = inputs.pop("labels")
        with torch.no_grad(), self.compute_loss_context_manager():
            return None, model(**inputs).logits.float(), labels

    def get_train_dataloader(self) -> DataLoader:
        """This process's share of each batch."""
        items: Any = self.train_dataset
        share = (self.args.process_index, self.args.world_size)
        batches = EpochBatches(items, self.batch_size, self.args.seed, *share)
        readers = self.args.dataloader_num_workers
        return EpochLoader(items, batch_sampler=batches, collate_fn=collate, num_workers=readers)

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
            options = [
                {
                    "params": groups[encoder, decay],
                    "lr": self.encoder_rate if encoder else self.args.learning_rate,
                    "weight_decay": self.args.weight_decay if decay else 0.0,
                }
                for encoder, decay in sorted(groups)
            ]
            # Fused: one pass over the weights instead of a dozen.
            self.optimizer = torch.optim.AdamW(options, fused=True)
        return self.optimizer
