"""The gate: may this model go on? Every check with its number, its threshold and its answer."""

from collections.abc import Iterator, Mapping
from typing import Any

from components.config import GateSettings
from components.scoring import DEFAULT, FAIL, INCONCLUSIVE, PASS, Bound, Check, Result, Verdict

ROUNDING = 1e-9
"""0.60 − 0.65 must be within a margin of 0.05."""

WORDS = {"accuracy": "accuracy", "uar": "unweighted recall",
         "macro_f1": "macro F1", "weighted_f1": "weighted F1"}  # fmt: skip

ERRORS = {"teer": "TEER", "steer": "sTEER"}
"""Of these, less is better."""

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
    model through nor refuses it, a person must decide.

    Args:
        metrics: as `evaluate` gives them. With a `champion`, the production model's numbers of
            the same utterances, measured today, there is the `comparison` with it; without,
            nothing is compared.
    """
    checks = (
        *_levels(metrics, settings),
        *_regressions(metrics, settings),
        *_slices(metrics, settings),
        *_behaviour(metrics, settings),
        *_budgets(metrics, settings),
    )
    return Verdict(metrics["model"], checks)


def _levels(metrics: Metrics, settings: GateSettings) -> Iterator[Check]:
    for name in ("accuracy", "macro_f1"):
        check, threshold = f"min_{name}", getattr(settings, f"min_{name}")
        yield from _limit(check, WORDS[name], metrics[name]["rate"], "at least", threshold)
    for emotion, threshold in (settings.min_f1 or {}).items():
        value = metrics["emotions"][emotion]["f1"]
        yield from _limit(f"min_f1.{emotion}", f"F1 of {emotion}", value, "at least", threshold)
    for name, threshold in (("teer", settings.max_teer), ("steer", settings.max_steer)):
        words, value = f"{ERRORS[name]} ({DEFAULT})", _rate(metrics, name)
        yield from _limit(f"max_{name}", words, value, "at most", threshold)
    value = metrics["calibration"]["ece"]
    yield from _limit("max_ece", "calibration error", value, "at most", settings.max_ece)


def _regressions(metrics: Metrics, settings: GateSettings) -> Iterator[Check]:
    """Not worse than production by more than a margin, as far as the test set can tell.

    ::

        difference and the one-sided 95 % lower bound of it      −margin
                                                           |        bound ●────●     pass
                                               bound ●─────|──●                      inconclusive
                                bound ●───●                |                         fail

    Of an error rate it is the upper bound and +margin, the other way round.
    """
    if settings.no_regression is None or metrics["champion"] is None:
        return
    min_count = settings.no_regression.min_conversations
    for name, margin in settings.no_regression.margins().items():
        test, error = metrics["comparison"][name], name in ERRORS
        # What is better counts up, for either kind.
        up = -1 if error else 1
        bound, threshold = test["upper_bound" if error else "lower_bound"], -up * margin
        side: Bound = "below" if error else "above"
        words = {**WORDS, **ERRORS}[name]
        own, champions = _rate(metrics, name), _rate(metrics["champion"], name)
        says = f"{words} is {_number(own)}, production's {_number(champions)}"
        # Time that no scored utterance lies in counts for an error rate, too.
        differing = metrics["comparison"]["differing_turns" if error else "differing"]
        if differing == 0:
            every = "turn" if error else "utterance"
            result, says = PASS, f"{says}: every {every} was answered as production answers it"
        elif up * test["difference"] < -margin - ROUNDING:
            result = FAIL
            says += f", which is more than {_number(margin)} {'more' if error else 'less'}"
        elif test["conversations"] < min_count:
            count = test["conversations"]
            result = INCONCLUSIVE
            says += f"; {count} conversations are too few to compare them (fewer than {min_count})"
        elif bound is None or up * bound <= -margin + ROUNDING:
            result = INCONCLUSIVE
            says += (
                f"; the difference may be as {'high' if error else 'low'} as {_number(bound)}"
                f" (one-sided 95 % bound), and must be {side} {_number(threshold)}:"
                " the test set is too small to tell"
            )
        else:
            result = PASS
            says += (
                f"; the difference is {side} {_number(bound)} (one-sided 95 % bound), and must be"
                f" {side} {_number(threshold)}"
            )
        yield Check(f"no_regression.{name}", bound, side, threshold, result, says)


def _slices(metrics: Metrics, settings: GateSettings) -> Iterator[Check]:
    for name, limits in settings.slices or ():
        if limits is None:
            continue
        threshold, min_count = limits.min_accuracy, limits.min_utterances
        check, words, parts = f"slices.{name}", name.replace("_", " "), metrics["slices"][name]
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
                yield from _limit(f"{check}.{part}", where, value, "at least", threshold)


def _behaviour(metrics: Metrics, settings: GateSettings) -> Iterator[Check]:
    for name, threshold in settings.behaviour.shares().items() if settings.behaviour else ():
        numbers = metrics["behaviour"][name]
        words = f"share of {numbers['total']} turns whose answer holds when {CHANGED[name]}"
        yield from _limit(f"behaviour.{name}", words, numbers["rate"], "at least", threshold)


def _budgets(metrics: Metrics, settings: GateSettings) -> Iterator[Check]:
    limits, served = settings.latency, metrics["served"]
    if limits and limits.max_p95_ms is not None:
        value = served["latency"]["p95_ms"]
        words = f"time of 95 % of {served['latency']['turns']} turns, in milliseconds,"
        yield from _limit("latency.max_p95_ms", words, value, "at most", limits.max_p95_ms)
    if limits and limits.max_times_production is not None and metrics["champion"] is not None:
        threshold, value = limits.max_times_production, served["latency"]["times_production"]
        name, words = "latency.max_times_production", "time, as a multiple of production's,"
        yield from _limit(name, words, value, "at most", threshold)
    if settings.max_megabytes is not None:
        name, words = "max_megabytes", "size of the served files, in megabytes,"
        yield from _limit(name, words, served["megabytes"], "at most", settings.max_megabytes)


def _rate(metrics: Metrics, name: str) -> float | None:
    part = metrics["scores"][DEFAULT][name] if name in ERRORS else metrics[name]
    return None if part is None else part["rate"]


def _limit(
    name: str, words: str, value: float | None, bound: Bound, threshold: float | None
) -> Iterator[Check]:
    """A number on the right side of a threshold, or on it; no check where there is no threshold."""
    if threshold is None:
        return
    says = f"{words} is {_number(value)}, and must be {bound} {_number(threshold)}"
    result: Result = INCONCLUSIVE
    if value is not None:
        spare = value - threshold if bound == "at least" else threshold - value
        result = PASS if spare >= -ROUNDING else FAIL
    yield Check(name, value, bound, threshold, result, says)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}".replace("-", "−")
