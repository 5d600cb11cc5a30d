"""Which epoch a version is: the validation part's, by macro F1 or by loss."""

import pytest

from components.train.version import best_entry, validation_scores

HISTORY = [
    {"epoch": 1, "validation_macro_f1": 0.5, "validation_loss": 0.9},
    {"epoch": 2, "validation_macro_f1": 0.6, "validation_loss": 0.7},
    {"epoch": 3, "validation_macro_f1": 0.7, "validation_loss": 0.8},
    {"epoch": 4, "validation_macro_f1": 0.7, "validation_loss": 0.7},
]


@pytest.mark.parametrize(("metric", "epoch"), [("macro_f1", 3), ("loss", 2)])
def test_the_first_of_the_best_epochs_is_kept(metric: str, epoch: int) -> None:
    best = best_entry(HISTORY, metric)
    assert best["epoch"] == epoch
    assert validation_scores(HISTORY, metric)["loss"] == best["validation_loss"]
    assert best_entry(HISTORY)["epoch"] == 3
