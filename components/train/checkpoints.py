"""Checkpoints, from which a killed training goes on; the best epoch's weights are kept in memory.

A checkpoint is a folder of Hugging Face's Trainer with `best.safetensors` in it. Writing one can
take longer than an epoch of a frozen model. So it is not written every epoch, but as often as the
machine's settings say (`checkpoint_seconds`).
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerState

from components.train.version import History, best_entry

BEST = "best.safetensors"
STATE = "trainer_state.json"
"""The file of a checkpoint that the Trainer writes last."""


class EpochKeeper(TrainerCallback):
    """Keeps the best epoch's weights, stops early, and decides when a checkpoint is written.

    The best epoch and the end are read from the Trainer's log, which is part of a checkpoint. So a
    resumed training decides as an unbroken one does. (Hugging Face's `EarlyStoppingCallback` and
    `load_best_model_at_end` need a checkpoint every epoch.)

    Args:
        patience: epochs without a better score before it stops.
        seconds: the least time between two checkpoints.
        metric: what says which epoch is the best; see `best_entry`.
        on_epoch: called with the history so far, after each epoch and when a run is resumed.
    """

    def __init__(
        self,
        module: nn.Module,
        patience: int,
        seconds: float,
        on_epoch: Callable[[History], None],
        metric: str = "macro_f1",
    ) -> None:
        self.metric = metric
        self.module = module
        self.patience = patience
        self.seconds = seconds
        self.on_epoch = on_epoch
        self.best: dict[str, Tensor] = {}
        self.written_at = time.monotonic()

    def resume(self, checkpoint: Path) -> History:
        """Take the best weights of a checkpoint; returns the history until then."""
        self.best = load_file(checkpoint / BEST)
        history = read_history(TrainerState.load_from_json(str(checkpoint / STATE)))
        self.on_epoch(history)
        return history

    def is_finished(self, history: History, epochs: int) -> bool:
        """Whether there is nothing more to fit."""
        waited = len(history) - best_entry(history, self.metric)["epoch"]
        return len(history) >= epochs or waited >= self.patience

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After each epoch's validation."""
        history = read_history(state)
        if best_entry(history, self.metric) is history[-1]:
            # Views would change with the weights.
            weights = self.module.state_dict()
            self.best = {k: v.detach().to("cpu", copy=True) for k, v in weights.items()}
        control.should_training_stop = self.is_finished(history, args.num_train_epochs)
        # The first process decides for all.
        due = time.monotonic() - self.written_at >= self.seconds
        control.should_save = broadcast_object_list([due])[0]
        if control.should_save and state.is_world_process_zero:
            # This goes first: the Trainer's last file marks the checkpoint as whole.
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            folder.mkdir(parents=True, exist_ok=True)
            save_file(self.best, folder / BEST)
        self.on_epoch(history)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The time for writing does not count."""
        self.written_at = time.monotonic()


def last_whole_checkpoint(work: Path) -> Path | None:
    """The last checkpoint that is whole; incomplete ones are removed."""
    whole = []
    for folder in work.glob("checkpoint-*"):
        try:
            TrainerState.load_from_json(str(folder / STATE))
            whole.append(folder)
        except (OSError, ValueError, TypeError):
            shutil.rmtree(folder, ignore_errors=True)
    return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def read_history(state: TrainerState) -> History:
    """One entry for each completed epoch, without clock times, which differ between runs."""
    epochs: dict[int, dict[str, float]] = {}
    for record in state.log_history:
        epoch = round(record["epoch"])
        entry = epochs.setdefault(epoch, {"epoch": epoch})
        for name, value in record.items():
            if name == "loss":
                entry["training_loss"] = value
            elif name == "learning_rate":
                entry[name] = value
            elif name.startswith("eval_") and not name.endswith(("runtime", "per_second")):
                entry[f"validation_{name.removeprefix('eval_')}"] = value
    complete = (entry for _, entry in sorted(epochs.items()) if "validation_loss" in entry)
    # In a fixed order: entries from a checkpoint have another.
    return [dict(sorted(entry.items())) for entry in complete]
