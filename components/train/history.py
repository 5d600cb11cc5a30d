"""What each epoch came to, out of the Trainer's log."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

History = list[dict[str, float]]
"""One entry an epoch: losses, learning rate, the validation's scores."""


def read_history(source: Any) -> History:
    """The epochs that are whole, from the Trainer's state or a checkpoint's folder."""
    if isinstance(source, Path):
        text = (source / "trainer_state.json").read_text(encoding="utf-8")
        return _entries(json.loads(text)["log_history"])
    return _entries(source.log_history)


def best_entry(history: History) -> dict[str, float]:
    """The first epoch with the highest macro F1 on the validation part.

    Not the lowest loss: a model surer of its few errors can be the better one.
    """
    return max(history, key=lambda entry: entry["validation_macro_f1"])


def _entries(log: Sequence[dict[str, Any]]) -> History:
    """One entry an epoch, without clock times, which differ between runs."""
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
