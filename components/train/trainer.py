"""Hugging Face's Trainer over windows, with the same sums in one process or in several.

Two learning rates, weights of classes, and padded batches that are the same in every run and
however many processes there are.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from accelerate.utils import reduce
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler
from transformers import Trainer

from components.fusion.onnx_model import pad

GROUP = 16
"""Batches of sound whose windows are sorted by length together."""

Item = dict[str, Any]
"""One window.

Its `acoustic` states [T, d_a] or sound [T], its `text` states [L, d_t] or token ids [L], its
`label`, the index of its `turn` and its `weight` in it.
"""


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
        self.lengths = [len(item["acoustic"]) for item in items]
        self.sound = items[0]["acoustic"].ndim == 1
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


def collate(items: Sequence[Item]) -> dict[str, Tensor]:
    """A padded batch: of states for the head, of sound and token ids for the whole model."""
    labels = torch.tensor([item["label"] for item in items])
    acoustic = [item["acoustic"] for item in items]
    text = [item["text"] for item in items]
    if acoustic[0].ndim == 2:
        names = ("acoustic_states", "acoustic_lengths", "text_states", "text_lengths")
    else:
        names = ("audio", "audio_lengths", "input_ids", "text_lengths")
    arrays = (*pad(acoustic, acoustic[0].dtype), *pad(text, text[0].dtype))
    batch = {n: torch.from_numpy(array) for n, array in zip(names, arrays, strict=True)}
    return {**batch, "labels": labels}


class WindowTrainer(Trainer):
    """The Trainer with this module's losses, batches and learning rates.

    Args:
        batch_size: of all processes together.
        encoder_rate: the learning rate of what is not the head.
        class_weights: [k] for the loss, or None.
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

    def compute_loss(self, model: nn.Module, inputs: Any, *_: Any, **__: Any) -> Any:
        """Cross-entropy, each class with its weight, averaged over every process's examples.

        Processes average their gradients. So each divides by its part of the whole batch's weight,
        and the average is that of the whole batch, however it was shared out.
        """
        labels = inputs.pop("labels")
        logits, weights = model(**inputs).logits.float(), self.class_weights
        weights = torch.ones_like(logits[0]) if weights is None else weights.to(logits.device)
        total = nn.functional.cross_entropy(logits, labels, weights, reduction="sum")
        return total * self.args.world_size / reduce(weights[labels].sum(), "sum")

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
        plain = items.items if isinstance(items, EpochItems) else items
        batches = EpochBatches(plain, self.batch_size, self.args.seed, *share)
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
