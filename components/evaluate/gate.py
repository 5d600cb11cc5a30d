"""The gate: may this model go on? Every check with its number, its threshold and its answer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components.base import InputError
from components.config import GateSettings
from components.config.gate import NoRegression
from components.evaluate.champion import FEWEST
from components.evaluate.own import own_checks
from components.scoring import (
    DEFAULT,
    FAIL,
    INCONCLUSIVE,
    PASS,
    Bound,
    Check,
    Power,
    Result,
    Verdict,
    wilson,
)

ROUNDING = 1e-9
"""0.60 − 0.65 must be within a margin of 0.05."""

ERRORS = {"teer": "TEER", "steer": "sTEER"}
"""Of these, less is better."""

WORDS = {"accuracy": "accuracy", "uar": "unweighted recall",
         "macro_f1": "macro F1", "weighted_f1": "weighted F1", **ERRORS}  # fmt: skip

ABOVE: Bound = "above"
BELOW: Bound = "below"

CHANGED = {
    "silence": "silence is added",
    "volume": "the sound is half or twice as loud",
    "case": "the words are in capitals or in small letters",
    "punctuation": "the words lose their punctuation",
    "filler": "a filler is added to the words",
}

Metrics = Mapping[str, Any]


def gate(metrics: Metrics, settings: GateSettings) -> Verdict:
    """Compare a model's numbers with the gate's thresholds.

    A check that has nothing to measure, or too little to tell, is inconclusive: it neither lets a
    model through nor refuses it, a person must decide. What was counted on a test set passes where
    the number itself reaches its threshold, and fails only where its whole 95 % interval does not.

    Args:
        metrics: as `evaluate` gives them. With a `champion`, the production model's numbers of
            the same utterances, measured today, there is the `comparison` with it; without,
            nothing is compared.

    Raises:
        InputError: a check of somebody's own is not there, or fails, or a label is none of the
            model's.
    """
    checks = (
        *_levels(metrics, settings),
        *_over_probe(metrics, settings),
        *_regressions(metrics, settings),
        *_slices(metrics, settings),
        *_behaviour(metrics, settings),
        *_budgets(metrics, settings),
        *own_checks(metrics, settings.own or {}),
    )
    known = metrics.get("power")
    return Verdict(metrics["model"], checks, Power(**known) if known else None)


def _levels(metrics: Metrics, settings: GateSettings) -> Iterator[Check]:
    accuracy, macro_f1, calibration = (
        metrics[name] for name in ("accuracy", "macro_f1", "calibration")
    )
    best = _share_end(accuracy["rate"], accuracy["total"])
    threshold = settings.min_accuracy
    yield from _limit("min_accuracy", "accuracy", accuracy["rate"], "at least", threshold, best)
    best, threshold = _interval_end(macro_f1, "high"), settings.min_macro_f1
    yield from _limit("min_macro_f1", "macro F1", macro_f1["rate"], "at least", threshold, best)
    for emotion, threshold in _min_f1(metrics, settings).items():
        part, name = metrics["emotions"][emotion], f"min_f1.{emotion}"
        # F1 is a share as well: right answers of the mean of what was said and what was answered.
        best = _share_end(part["f1"], (part["reference"] + part["answered"]) / 2)
        yield from _limit(name, f"F1 of {emotion}", part["f1"], "at least", threshold, best)
    for name, threshold in (("teer", settings.max_teer), ("steer", settings.max_steer)):
        words, part = f"{ERRORS[name]} ({DEFAULT})", metrics["scores"][DEFAULT][name]
        best = _interval_end(part, "low")
        yield from _limit(f"max_{name}", words, _rate(metrics, name), "at most", threshold, best)
    value, best = calibration["ece"], calibration["least_ece"]
    yield from _limit("max_ece", "calibration error", value, "at most", settings.max_ece, best)


def _min_f1(metrics: Metrics, settings: GateSettings) -> dict[str, float]:
    """The least F1 of each label that has one."""
    least, labels = settings.min_f1, metrics["emotions"]
    if not isinstance(least, dict):
        return {} if least is None else dict.fromkeys(labels, least)
    for label in least:
        if label not in labels:
            raise InputError(
                f"gate: min_f1.{label}: the model's labels are {', '.join(labels)}; name one of"
                " them"
            )
    return least


def _over_probe(metrics: Metrics, settings: GateSettings) -> Iterator[Check]:
    """The model against a linear probe on the frozen encoders' states, on the same utterances."""
    name, threshold = "min_over_probe", settings.min_over_probe
    if threshold is None:
        return
    probe = metrics.get("probe")
    if probe is None:
        says = "the version has no linear probe to be compared with; this check was not made"
        yield Check(name, None, "at least", threshold, INCONCLUSIVE, says, decides=False)
    elif "missing" in probe:
        says = f"the linear probe could not be asked: {probe['missing']}"
        yield Check(name, None, "at least", threshold, INCONCLUSIVE, says)
    else:
        test, rate = probe["comparison"], _number(probe["accuracy"]["rate"])
        words = f"accuracy less that of a linear probe on the same encoders ({rate})"
        value, best = test["difference"], test["upper_bound"]
        yield from _limit(name, words, value, "at least", threshold, best)


def _regressions(metrics: Metrics, settings: GateSettings) -> Iterator[Check]:
    """Not worse than production by more than a margin, as far as the test set can tell.

    ::

        difference and its two one-sided 95 % bounds  −margin
                                                         |    ├────●────┤    pass
                                                  ├──●───|──┤                inconclusive
                                     ├────●────┤         |                   fail

    Of an error rate it is +margin, the other way round.
    """
    asked = settings.no_regression
    if asked is None or metrics["champion"] is None:
        return
    comparison = metrics["comparison"]
    shared = comparison.get("labels")
    if shared is not None and comparison["challenger"] is None:
        yield from _not_comparable(metrics, asked, shared)
        return
    measured = metrics if shared is None else comparison["challenger"]
    on = f" on the labels that both have ({', '.join(shared)})" if shared else ""
    for name, margin in asked.margins(metrics["recordings"]).items():
        test, error = comparison[name], name in ERRORS
        # What is better counts up, for either kind.
        up, side, threshold = (-1, BELOW, margin) if error else (1, ABOVE, -margin)
        ends = ("upper_bound", "lower_bound") if error else ("lower_bound", "upper_bound")
        worst, best = test[ends[0]], test[ends[1]]
        own, champions = _rate(measured, name), _rate(metrics["champion"], name)
        says = f"{WORDS[name]}{on} is {_number(own)}, production's {_number(champions)}"
        # Time that no scored utterance lies in counts for an error rate, too.
        differing = comparison["differing_turns" if error else "differing"]
        if differing == 0:
            every = "turn" if error else "utterance"
            result, says = PASS, f"{says}: every {every} was answered as production answers it"
        elif test["conversations"] < asked.min_conversations or worst is None:
            result = INCONCLUSIVE
            says += (
                f"; {test['conversations']} conversations are too few to compare them"
                f" (fewer than {max(2, asked.min_conversations)})"
            )
        elif up * worst > -margin + ROUNDING:
            result = PASS
            says += (
                f"; the difference is {side} {_number(worst)} (one-sided 95 % bound), and must be"
                f" {side} {_number(threshold)}"
            )
        elif up * best < -margin - ROUNDING:
            result = FAIL
            says += (
                f"; the difference is at best {_number(best)} (one-sided 95 % bound), more than"
                f" {_number(margin)} {'more' if error else 'less'}"
            )
        else:
            result = INCONCLUSIVE
            says += (
                f"; the difference may be as {'high' if error else 'low'} as {_number(worst)}"
                f" (one-sided 95 % bound), and must be {side} {_number(threshold)}:"
                " the test set is too small to tell"
            )
        check = f"no_regression.{name}"
        yield Check(check, worst, side, threshold, result, says, decides=name == asked.deciding)


def _not_comparable(
    metrics: Metrics, asked: NoRegression, shared: Sequence[str]
) -> Iterator[Check]:
    """The comparison with a model of other labels, too few of which are in common or tested."""
    own, others = (
        ", ".join(labels) for labels in (metrics["emotions"], metrics["champion"]["labels"])
    )
    if len(shared) < FEWEST:
        why = f"they have {f'only {shared[0]}' if shared else 'none'} in common"
    else:
        why = f"no tested utterance has a label that both have ({', '.join(shared)})"
    says = f"cannot be compared: this model tells apart {own}, production's {others}; {why}"
    for name, margin in asked.margins(metrics["recordings"]).items():
        side, threshold = (BELOW, margin) if name in ERRORS else (ABOVE, -margin)
        check, decides = f"no_regression.{name}", name == asked.deciding
        yield Check(check, None, side, threshold, INCONCLUSIVE, f"{WORDS[name]} {says}", decides)


def _slices(metrics: Metrics, settings: GateSettings) -> Iterator[Check]:
    for name, limits in settings.slices.named().items() if settings.slices else ():
        threshold, min_count = limits.min_accuracy, limits.min_utterances
        words, parts = name.removeprefix("columns.").replace("_", " "), metrics["slices"][name]
        check = f"slices.{name}"
        if not parts:
            says = f"{words} is not known of any utterance; it was to be looked at"
            yield Check(check, None, "at least", threshold, INCONCLUSIVE, says)
        for part, numbers in parts.items():
            count, value = numbers["accuracy"]["total"], numbers["accuracy"]["rate"]
            if count < min_count:
                says = (
                    f"accuracy where {words} is {part} is {_number(value)} of {count} utterances,"
                    f" too few to tell (fewer than {min_count})"
                )
                yield Check(f"{check}.{part}", value, "at least", threshold, INCONCLUSIVE, says)
            else:
                where = f"accuracy of {count} utterances where {words} is {part}"
                best = _share_end(value, count)
                yield from _limit(f"{check}.{part}", where, value, "at least", threshold, best)


def _behaviour(metrics: Metrics, settings: GateSettings) -> Iterator[Check]:
    for name, threshold in settings.behaviour.shares().items() if settings.behaviour else ():
        numbers = metrics["behaviour"][name]
        value, total = numbers["rate"], numbers["total"]
        words = f"share of {total} turns whose answer holds when {CHANGED[name]}"
        best = _share_end(value, total)
        yield from _limit(f"behaviour.{name}", words, value, "at least", threshold, best)


def _budgets(metrics: Metrics, settings: GateSettings) -> Iterator[Check]:
    """What is measured, not counted on a sample: at once on one side or the other."""
    limits, served = settings.latency, metrics["served"]
    if limits and limits.max_p95_ms is not None:
        value = served["latency"]["p95_ms"]
        words = f"time of 95 % of {served['latency']['turns']} turns, in milliseconds,"
        yield from _limit("latency.max_p95_ms", words, value, "at most", limits.max_p95_ms, value)
    if limits and limits.max_times_production is not None and metrics["champion"] is not None:
        threshold, value = limits.max_times_production, served["latency"]["times_production"]
        name, words = "latency.max_times_production", "time, as a multiple of production's,"
        yield from _limit(name, words, value, "at most", threshold, value)
    if settings.max_megabytes is not None:
        words, value = "size of the served files, in megabytes,", served["megabytes"]
        yield from _limit("max_megabytes", words, value, "at most", settings.max_megabytes, value)


def _rate(metrics: Metrics, name: str) -> float | None:
    part = metrics["scores"][DEFAULT][name] if name in ERRORS else metrics[name]
    return None if part is None else part["rate"]


def _share_end(rate: float | None, total: float) -> float | None:
    """The upper end of a share's 95 % interval (Wilson)."""
    return None if rate is None or not total else wilson(rate, total).high


def _interval_end(part: Mapping[str, Any] | None, end: str) -> float | None:
    """An end of the 95 % interval by conversation, where there is one."""
    interval = (part or {}).get("interval")
    return None if interval is None else interval[end]


def _limit(
    name: str, words: str, value: float | None, bound: Bound, threshold: float | None,
    best: float | None,
) -> Iterator[Check]:  # fmt: skip
    """A number on the right side of a threshold, or on it; no check where there is no threshold.

    Args:
        best: the end of the number's interval that lies on the better side; the number itself
            where it was not counted on a sample.
    """
    if threshold is None:
        return
    up = 1 if bound == "at least" else -1
    says = f"{words} is {_number(value)}, and must be {bound} {_number(threshold)}"
    result: Result = INCONCLUSIVE
    if value is not None and up * (value - threshold) >= -ROUNDING:
        result = PASS
    elif best is not None and up * (best - threshold) < -ROUNDING:
        result = FAIL
    elif value is not None:
        may = "nobody can say" if best is None else f"it may be {_number(best)} (95 % interval)"
        says += f"; {may}: the test set is too small to tell"
    yield Check(name, value, bound, threshold, result, says)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}".replace("-", "−")
