"""What a killed training goes on from, and the best epoch's weights, which are kept in memory.

A checkpoint is a folder as Hugging Face's Trainer writes it, and in it `best.safetensors`. Writing
one can take longer than an epoch of a frozen model, so it is written as often as the settings of
the machine ask (`checkpoint_seconds`), not once an epoch.
"""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback

from components.train.history import History, best_entry, read_history
from components.train.processes import from_first

BEST = "best.safetensors"


class EpochKeeper(TrainerCallback):
    """Keeps the best epoch, stops when none is better for long, and says when to write.

    Which epoch is best, and whether it is time to stop, is read from the Trainer's log, which a
    checkpoint holds: a resumed training decides as an unbroken one does.

    Args:
        module: what is fitted.
        patience: epochs without a better score before it stops.
        seconds: the least time between two checkpoints.
        told: called after each epoch, and before the first if resumed, with the history so far.
    """

    def __init__(
        self,
        module: nn.Module,
        patience: int,
        seconds: float,
        told: Callable[[History], None],
    ) -> None:
        self.module = module
        self.patience = patience
        self.seconds = seconds
        self.told = told
        self.best: dict[str, Tensor] = {}
        self.written = time.monotonic()

    def resume(self, checkpoint: Path) -> History:
        """Take the best weights of a checkpoint; returns the history until then."""
        self.best = load_file(checkpoint / BEST)
        history = read_history(checkpoint)
        self.told(history)
        return history

    def finished(self, history: History, epochs: int) -> bool:
        """Whether there is nothing more to fit."""
        waited = len(history) - best_entry(history)["epoch"]
        return len(history) >= epochs or waited >= self.patience

    def restore(self) -> None:
        """Give the module its best epoch's weights."""
        self.module.load_state_dict(self.best)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After each epoch's validation."""
        history = read_history(state)
        if best_entry(history) is history[-1]:
            # Views would change with the weights; copies are what was judged.
            weights = self.module.state_dict()
            self.best = {k: v.detach().to("cpu", copy=True) for k, v in weights.items()}
        control.should_training_stop = self.finished(history, args.num_train_epochs)
        due = time.monotonic() - self.written >= self.seconds
        control.should_save = from_first(due)
        if control.should_save and state.is_world_process_zero:
            # Before the Trainer's part, whose last file makes the checkpoint a whole one.
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            folder.mkdir(parents=True, exist_ok=True)
            save_file(self.best, folder / BEST)
        self.told(history)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The time that writing took does not count."""
        self.written = time.monotonic()


def last_whole_checkpoint(work: Path) -> Path | None:
    """The last checkpoint whose writing was finished; those cut short are removed."""
    whole = []
    for folder in work.glob("checkpoint-*"):
        try:
            # The Trainer writes its state last.
            json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
            whole.append(folder)
        except (OSError, ValueError):
            shutil.rmtree(folder, ignore_errors=True)
    return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)
