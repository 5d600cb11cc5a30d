"""Checks of your own: functions that a package of yours brings as entry points `moodline.checks`.

A function is given the metrics (all of `metrics.json`) and what the gate file says under its name,
and returns checks, at least one::

    # pyproject.toml of your package
    [project.entry-points."moodline.checks"]
    churn = "ours.checks:churn"

    # the gate
    own: {churn: {least: 0.7}}

    # ours/checks.py
    from components.scoring import Check

    def churn(metrics, options):
        rate = metrics["slices"]["columns.customer"]["acme"]["accuracy"]["rate"]
        result = "pass" if rate >= options["least"] else "fail"
        return [Check("acme", rate, "at least", options["least"], result, f"acme has {rate:.2f}")]

The package must be installed wherever the gate decides: on a cluster, in the image of `evaluate`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

from components.base import InputError
from components.scoring import Check

GROUP = "moodline.checks"

OwnCheck = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterable[Check]]
"""The metrics, and the options of the gate file → checks. The gate puts `own.<name>.` before their
names."""


def find_checks(names: Collection[str]) -> dict[str, OwnCheck]:
    """Load checks by the names of their entry points.

    Raises:
        InputError: no installed package brings one of that name, or it cannot be imported.
    """
    known = {point.name: point for point in entry_points(group=GROUP)} if names else {}
    found = {}
    for name in names:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise InputError(
                f"gate: own check {name!r} is not installed (there: {there}); install the package"
                f" that brings the entry point {name!r} of {GROUP}, or take the check out"
            )
        try:
            found[name] = known[name].load()
        except Exception as error:
            raise InputError(
                f"gate: own check {name!r} cannot be loaded: {_line(error)}"
            ) from error
    return found


def own_checks(metrics: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]) -> Iterator[Check]:
    """Ask somebody's own checks.

    Args:
        own: each check's name with its options.

    Raises:
        InputError: a check is not there, fails, or returns anything else than checks; a gate that
            cannot ask what it was told to ask decides nothing.
    """
    for name, check in find_checks(own).items():
        try:
            answers = list(check(metrics, own[name]))
        except Exception as error:
            raise InputError(f"gate: own check {name!r} failed: {_line(error)}") from error
        if not answers or not all(isinstance(answer, Check) for answer in answers):
            raise InputError(f"gate: own check {name!r} must return checks, one or more")
        for answer in answers:
            yield replace(answer, name=f"own.{name}.{answer.name}")


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
