"""An experiment as one HTML page for people: no script, nothing fetched, light and dark."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.conversation import EMOTIONS
from components.reporting.turns_page import COLOURS, NOTICE
from components.scoring import ANSWERS, DEFAULT
from pipelines.experiments.drawings import comparison_timelines, curves, forest
from pipelines.experiments.explain import (
    KINDS,
    by_fault,
    count_faults,
    paragraphs,
    table_of_parts,
)
from pipelines.experiments.results import Results
from pipelines.experiments.systems import Way
from pipelines.experiments.tables import tables

TEMPLATE = Path(__file__).with_name("report.html.j2")


def experiment_page(results: Results) -> str:
    """Render the report."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": _percent, "interval": _interval, "signed": _signed}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        about=results.about,
        systems=[found.numbers for found in results.systems.values()],
        tables=tables(results),
        meaning=paragraphs(results),
        forest=forest(results),
        confusions=[_confusion(found.numbers) for found in results.systems.values()],
        curves=[curves(found) for found in results.systems.values()],
        faults=_faults(results),
        kinds={kind: says for kind, (says, _) in KINDS.items()},
        by_fault={
            found.numbers["title"]: by_fault(results, system)
            for system, found in results.systems.items()
        },
        parts=[
            (first, second, table_of_parts(results, (first, second)))
            for first, second in results.comparisons
            if first.way != second.way
        ],
        comparisons=comparison_timelines(results),
        emotions=EMOTIONS,
        answers=ANSWERS,
        colours=COLOURS,
        default=DEFAULT,
        notice=NOTICE,
    )


FAULT_ROWS = {
    "turns": "turns",
    "utterances": "reference utterances",
    "whole": "… whole: in one turn, of their speaker, that holds nothing else",
    "broken": "… broken: their words stand in several turns",
    "merged": "… merged: their turn holds another utterance's words",
    "mixed": "… mixed: their turn holds another speaker's words",
    "words": "words of the reference",
    "misattributed_words": "… heard, and given to the wrong speaker",
    "lost_words": "… heard by nobody",
    "turns_of_several_utterances": "turns with words of several utterances",
    "turns_of_several_speakers": "turns with words of several speakers",
    "turns_of_several_emotions": "turns with words of several emotions",
    "bridged_pauses": "pauses that turns reach across",
    "bridged_seconds": "… their seconds",
}


def _faults(results: Results) -> dict[str, Any]:
    counts = count_faults(results)
    return {
        "ways": [Way(way).label for way in counts],
        "rows": [
            (says, [f"{counts[way][key]:.0f}" for way in counts])
            for key, says in FAULT_ROWS.items()
        ],
    }


def _confusion(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of cells, each with its count (all seeds together) and its share of the row."""
    rows = []
    for name, counts in zip(EMOTIONS, numbers["confusion"], strict=True):
        total = sum(counts)
        cells = [
            {"count": count, "share": count / total if total else 0.0, "right": answer == name}
            for answer, count in zip(ANSWERS, counts, strict=True)
        ]
        rows.append({"name": name, "cells": cells})
    return {"title": numbers["title"], "rows": rows, "accuracy": numbers["accuracy"]}


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.1f}".replace("-", "−")


def _interval(interval: Mapping[str, float] | None) -> str:
    if interval is None:
        return ""
    ends: Sequence[str] = [f"{100 * interval[end]:.1f}" for end in ("low", "high")]
    return " to ".join(ends).replace("-", "−")
