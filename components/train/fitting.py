"""The training loop: Hugging Face's Trainer over cached states or over sound and words."""

import json
import logging
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import RandomSampler, Sampler
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_pt_utils import LengthGroupedSampler

from components.conversation import EMOTIONS
from components.fusion.onnx_model import pad
from components.profile import TrainSettings
from components.train.scores import classification_scores

logger = logging.getLogger(__name__)

Item = dict[str, Any]
"""One window.

Its `acoustic` states [T, d_a] or sound [T], its `text` states [L, d_t] or token ids [L], its
`label`, the index of its `turn` and its `weight` in it.
"""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What the loop found.

    Attributes:
        history: one entry an epoch: losses, rates, the validation's scores.
        best_epoch: whose weights the module now has.
    """

    history: list[dict[str, float]]
    best_epoch: int

    @property
    def validation(self) -> dict[str, float]:
        """The best epoch's scores on the validation part."""
        best = next(entry for entry in self.history if entry["epoch"] == self.best_epoch)
        prefix = "validation_"
        return {k.removeprefix(prefix): v for k, v in best.items() if k.startswith(prefix)}


class WindowTrainer(Trainer):
    """Two learning rates, weights of classes, and nothing else of its own.

    Args:
        encoder_rate: the learning rate of what is not the head.
        class_weights: [4] for the loss, or None.
    """

    def __init__(
        self, *args: Any, encoder_rate: float, class_weights: Tensor | None, **kwargs: Any
    ) -> None:
        self.encoder_rate = encoder_rate
        self.class_weights = class_weights
        super().__init__(*args, **kwargs)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Cross-entropy, each class with its weight."""
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        weights = None if self.class_weights is None else self.class_weights.to(labels.device)
        loss = nn.functional.cross_entropy(outputs.logits, labels, weights)
        return (loss, outputs) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler:
        """Sound in shuffled batches of like length, since padding costs; states at random."""
        items: Any = train_dataset if train_dataset is not None else self.train_dataset
        if items[0]["acoustic"].ndim == 2:
            return RandomSampler(items)
        lengths = [len(item["acoustic"]) for item in items]
        return LengthGroupedSampler(self.args.train_batch_size, lengths=lengths)

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
                ]
            )
        return self.optimizer


class _Epochs(TrainerCallback):
    """Tells how many epochs are done."""

    def __init__(self, told: Callable[[int], None]) -> None:
        self.told = told

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.told(round(state.epoch))


def fit(
    module: nn.Module,
    training: Sequence[Item],
    validation: Sequence[Item],
    settings: TrainSettings,
    seed: int,
    work: Path,
    progress: Callable[[int], None],
) -> Fitted:
    """Fit a module and leave it with the weights of its best epoch on the validation part.

    A killed run goes on from the last epoch that `work` holds whole, to the same result.

    Args:
        module: a `MoodlineHead` over states, or a whole `MoodlineModel`.
        training: windows to fit.
        validation: windows whose turns choose the epoch.
        work: a folder for checkpoints; removed when done.
        progress: called with the number of epochs done.
    """
    arguments = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_ratio=0.1,
        max_grad_norm=1.0,
        seed=seed,
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        # Not the loss: a model surer of its few errors can be the better one.
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=[],
        disable_tqdm=True,
        log_level="error",
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = WindowTrainer(
        model=module,
        args=arguments,
        train_dataset=list(training),
        eval_dataset=list(validation),
        data_collator=_collate,
        compute_metrics=_turn_scores(validation),
        callbacks=[EarlyStoppingCallback(settings.patience), _Epochs(progress)],
        encoder_rate=settings.encoder_learning_rate,
        class_weights=_class_weights(training) if settings.class_weights else None,
    )
    trainer.remove_callback(PrinterCallback)
    checkpoint = last_whole_checkpoint(work)
    if checkpoint:
        logger.info("training goes on from %s", checkpoint.name)
    with warnings.catch_warnings():
        # Checkpoints are told apart by their numbers where file times are coarse; that is fine.
        warnings.filterwarnings("ignore", message="mtime may not be reliable")
        trainer.train(
            resume_from_checkpoint=str(checkpoint) if checkpoint else None,
            ignore_keys_for_eval=["embedding", "loss"],
        )
    module.eval()
    history = _history(trainer.state.log_history)
    best = max(history, key=lambda entry: entry["validation_macro_f1"])
    shutil.rmtree(work, ignore_errors=True)
    return Fitted(history, int(best["epoch"]))


def last_whole_checkpoint(work: Path) -> Path | None:
    """The last checkpoint whose writing was finished; those cut short are removed."""
    whole = []
    for folder in work.glob("checkpoint-*"):
        try:
            # The Trainer writes its state last.
            json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
            whole.append(folder)
        except (OSError, ValueError):
            shutil.rmtree(folder)
    return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def _collate(items: Sequence[Item]) -> dict[str, Tensor]:
    """A padded batch: of states for the head, of sound and token ids for the whole model."""
    labels = torch.tensor([item["label"] for item in items])
    acoustic = [item["acoustic"] for item in items]
    text = [item["text"] for item in items]
    if acoustic[0].ndim == 2:
        names = ("acoustic_states", "acoustic_lengths", "text_states", "text_lengths")
        arrays = (*_pad_states(acoustic), *_pad_states(text))
    else:
        names = ("audio", "audio_lengths", "input_ids", "text_lengths")
        arrays = (*pad(acoustic, np.float32), *pad(text, np.int64))
    batch = {n: torch.from_numpy(array) for n, array in zip(names, arrays, strict=True)}
    return {**batch, "labels": labels}


def _pad_states(states: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(s) for s in states], dtype=np.int64)
    padded = np.zeros((len(states), lengths.max(), states[0].shape[1]), dtype=np.float32)
    for target, s in zip(padded, states, strict=True):
        target[: len(s)] = s
    return padded, lengths


def _class_weights(training: Sequence[Item]) -> Tensor:
    """Inverse to how often each class comes, 1 on average; 0 for one that never does."""
    counts = np.bincount([item["label"] for item in training], minlength=len(EMOTIONS))
    weights = len(training) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.from_numpy(np.where(counts, weights, 0.0)).float()


def _turn_scores(items: Sequence[Item]) -> Callable[[EvalPrediction], dict[str, float]]:
    """Scores of whole turns: the probabilities of a turn's windows are averaged first."""
    turns = np.array([item["turn"] for item in items])
    weights = np.array([item["weight"] for item in items])
    labels = np.zeros(turns.max() + 1, dtype=int)
    labels[turns] = [item["label"] for item in items]

    def scores(prediction: EvalPrediction) -> dict[str, float]:
        given: Any = prediction.predictions
        logits = np.asarray(given[0] if isinstance(given, tuple) else given, dtype=np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = np.zeros((len(labels), odds.shape[1]))
        shares = weights[:, None] * odds / odds.sum(axis=1, keepdims=True)
        np.add.at(probabilities, turns, shares)
        return classification_scores(labels, probabilities)

    return scores


def _history(log: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """The Trainer's log, one entry an epoch, without clock times (they differ between runs)."""
    epochs: dict[int, dict[str, float]] = {}
    for record in log:
        epoch = round(record["epoch"])
        entry = epochs.setdefault(epoch, {"epoch": epoch})
        for name, value in record.items():
            if name == "loss":
                entry["training_loss"] = value
            elif name == "learning_rate":
                entry[name] = value
            elif name.startswith("eval_") and not name.endswith(("runtime", "per_second")):
                entry[f"validation_{name.removeprefix('eval_')}"] = value
    whole = (entry for _, entry in sorted(epochs.items()) if "validation_loss" in entry)
    # In a fixed order: a resumed run reads part of it from a checkpoint, where it is another.
    return [dict(sorted(entry.items())) for entry in whole]
