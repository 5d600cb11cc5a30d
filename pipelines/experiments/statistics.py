"""Means over seeds, how far they scatter, how far to trust them.

Three spreads are told apart: over seeds (the same work from another start), over folds (other
voices), and the 95 % interval by drawing conversations again, of the mean over seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.scoring import bootstrap, paired_bootstrap
from components.scoring.classification import accuracy, f1, macro_f1, uar, weighted_f1

Rate = Callable[[np.ndarray], np.ndarray]


def _f1_of(index: int) -> Rate:
    return lambda counts: f1(counts)[..., index]


def rates(labels: Sequence[str]) -> dict[str, Rate]:
    """The rates of confusion matrices [..., k, k + 1] of k labels. WAR is the accuracy."""
    return {
        "accuracy": accuracy,
        "uar": uar,
        "macro_f1": macro_f1,
        "weighted_f1": weighted_f1,
        **{f"f1_{label}": _f1_of(index) for index, label in enumerate(labels)},
    }


@dataclass(frozen=True)
class Counts:
    """What was counted in each recording, from each seed.

    Attributes:
        each: [recordings, seeds, ...]: confusions [k, k + 1], or seconds [4] (missed, false alarm,
            confusion, total).
        folds: of each recording.
    """

    each: np.ndarray
    folds: tuple[str, ...]

    @classmethod
    def of(cls, by_seed: Sequence[Any], folds: Sequence[str]) -> "Counts":
        """From one array [recordings, ...] a seed."""
        return cls(np.stack([np.asarray(part) for part in by_seed], axis=1), tuple(folds))

    def where(self, selected: Sequence[bool]) -> "Counts":
        """Of some recordings only."""
        folds = tuple(f for f, keep in zip(self.folds, selected, strict=True) if keep)
        return Counts(self.each[np.array(selected)], folds)


def error_rate(seconds: np.ndarray) -> np.ndarray:
    """(missed + false alarm + confusion) / total of seconds [..., 4]; NaN without speech."""
    total = seconds[..., 3]
    return np.where(total > 0, seconds[..., :3].sum(-1) / np.where(total > 0, total, 1), np.nan)


def summarise_rates(counts: Counts, seed: int, labels: Sequence[str]) -> dict[str, Any]:
    """All of `rates`, and right answers and utterances of one seed."""
    whole = counts.each.sum(axis=0)
    return {
        "utterances": int(whole[0].sum()),
        "correct": [int(np.trace(matrix)) for matrix in whole],
        **{name: _summary(counts, rate, seed) for name, rate in rates(labels).items()},
    }


def summarise_errors(counts: Counts, seed: int) -> dict[str, Any]:
    """A timed error: its mean seconds of each kind over seeds, and its rate."""
    seconds = counts.each.sum(axis=0).mean(axis=0)
    names = ("missed", "false_alarm", "confusion", "total")
    return {
        **{name: float(value) for name, value in zip(names, seconds, strict=True)},
        **_summary(counts, error_rate, seed),
    }


def _summary(counts: Counts, rate: Rate, seed: int) -> dict[str, Any]:
    """A rate's mean over seeds of all folds together, its two deviations and its interval."""
    mean, seeds = _over_seeds(rate), rate(counts.each.sum(axis=0))
    of_folds = ([own == fold for own in counts.folds] for fold in sorted(set(counts.folds)))
    folds = np.array([mean(counts.where(selected).each.sum(axis=0)) for selected in of_folds])
    interval = bootstrap(counts.each, mean, seed=seed)
    return {
        "rate": _number(seeds.mean()),
        "sd_seeds": _deviation(seeds),
        "sd_folds": _deviation(folds),
        "interval": interval.to_json() if interval else None,
    }


def compare_rates(
    first: Counts, second: Counts, seed: int, labels: Sequence[str]
) -> dict[str, Any]:
    """For all of `rates`: difference, interval and p by a paired bootstrap of conversations."""
    return {name: _compare(first, second, rate, seed) for name, rate in rates(labels).items()}


def compare_errors(first: Counts, second: Counts, seed: int) -> dict[str, Any]:
    """The same of a timed error's rate."""
    return _compare(first, second, error_rate, seed)


def _compare(first: Counts, second: Counts, rate: Rate, seed: int) -> dict[str, Any]:
    test = paired_bootstrap(first.each, second.each, _over_seeds(rate), seed=seed).to_json()
    return {**test, "difference": _number(test["difference"])}


def _over_seeds(rate: Rate) -> Rate:
    """The mean rate over seeds, of counts [..., seeds, ...]."""
    return lambda counts: rate(counts).mean(axis=-1)


def _deviation(values: np.ndarray) -> float | None:
    """The sample's standard deviation of the values that are numbers; None of a single one."""
    known = values[~np.isnan(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else None


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
