"""An experiment as one HTML page for people: no script, nothing fetched, light and dark."""

from pathlib import Path

from components.conversation import NO_ANSWER
from components.reporting.charts import intervals_chart
from components.reporting.page import confusion_rows, render
from components.scoring import DEFAULT
from pipelines.experiments.drawings import comparison_timelines, curves
from pipelines.experiments.explain import (
    KINDS,
    by_fault,
    count_faults,
    differences,
    utterance_groups,
)
from pipelines.experiments.results import Results
from pipelines.experiments.systems import TurnMethod
from pipelines.experiments.tables import tables

TEMPLATE = Path(__file__).with_name("report.html.j2")

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


def experiment_page(results: Results) -> str:
    """Render the report."""
    rows, faults = differences(results), count_faults(results)
    answers = (*results.labels, NO_ANSWER)
    return render(
        TEMPLATE,
        results.labels,
        about=results.about,
        systems=[system.numbers for system in results.systems.values()],
        tables=tables(results).values(),
        differences=rows,
        differences_chart=intervals_chart("differences between systems", rows) if rows else "",
        confusions=[
            {
                "title": system.numbers["title"],
                "rows": confusion_rows(results.labels, answers, system.numbers["confusion"]),
                "accuracy": system.numbers["accuracy"],
            }
            for system in results.systems.values()
        ],
        curves=[curves(system) for system in results.systems.values()],
        faults={
            "methods": [TurnMethod(method).label for method in faults],
            "rows": [
                (text, [f"{counts[key]:.0f}" for counts in faults.values()])
                for key, text in FAULT_ROWS.items()
            ],
        },
        kinds={kind: text for kind, (text, _) in KINDS.items()},
        by_fault={
            result.numbers["title"]: by_fault(results, system)
            for system, result in results.systems.items()
        },
        groups=[
            (first, second, utterance_groups(results, first, second))
            for first, second in results.comparisons
            if first.method != second.method
        ],
        comparisons=comparison_timelines(results),
        answers=answers,
        default=DEFAULT,
    )
