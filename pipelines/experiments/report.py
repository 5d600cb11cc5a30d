"""An experiment as one HTML page for people: no script, nothing fetched, light and dark."""

from pathlib import Path
from typing import Any

from components.conversation import EMOTIONS
from components.reporting.charts import intervals_chart
from components.reporting.page import confusion_rows, render
from components.scoring import ANSWERS, DEFAULT
from pipelines.experiments.drawings import comparison_timelines, curves
from pipelines.experiments.explain import (
    KINDS,
    by_fault,
    count_faults,
    differences,
    table_of_parts,
)
from pipelines.experiments.results import Results
from pipelines.experiments.systems import Way
from pipelines.experiments.tables import tables

TEMPLATE = Path(__file__).with_name("report.html.j2")


def experiment_page(results: Results) -> str:
    """Render the report."""
    rows = differences(results)
    return render(
        TEMPLATE,
        about=results.about,
        systems=[system.numbers for system in results.systems.values()],
        tables=tables(results),
        differences=rows,
        differences_chart=intervals_chart("differences between systems", rows) if rows else "",
        confusions=[
            {
                "title": system.numbers["title"],
                "rows": confusion_rows(EMOTIONS, ANSWERS, system.numbers["confusion"]),
                "accuracy": system.numbers["accuracy"],
            }
            for system in results.systems.values()
        ],
        curves=[curves(system) for system in results.systems.values()],
        faults=_faults(results),
        kinds={kind: says for kind, (says, _) in KINDS.items()},
        by_fault={
            result.numbers["title"]: by_fault(results, system)
            for system, result in results.systems.items()
        },
        parts=[
            (first, second, table_of_parts(results, (first, second)))
            for first, second in results.comparisons
            if first.way != second.way
        ],
        comparisons=comparison_timelines(results),
        answers=ANSWERS,
        default=DEFAULT,
    )


FAULT_ROWS = {
    "turns": "turns",
    "utterances": "reference utterances",
    "whole": "… whole: in one turn, of their speaker, that holds nothing else",
    "broken": "… broken: their words stand in several turns",
    "merged": "… merged: their turn holds another utterance's words",
    "mixed": "… mixed: their turn holds another speaker's words",
    "words": "words of the reference",
    "misattributed_words": "… given to the wrong speaker",
    "lost_words": "… that no turn has",
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
