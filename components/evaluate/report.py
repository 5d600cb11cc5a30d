"""The evaluation as one HTML file for people: no script, nothing fetched, light and dark."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.conversation import Recording, Turn
from components.reporting.charts import ACCENT, reliability_chart, shares_chart
from components.reporting.page import confusion_rows, counted, render
from components.reporting.timeline import timeline
from components.scoring import DEFAULT, FAIL, INCONCLUSIVE, Verdict, turns_by_recording

TEMPLATE = Path(__file__).with_name("report.html.j2")

ERROR_COLOURS = {
    "missed": "#8d99ae",
    "false alarm": "#d9a441",
    "confusion": "#b3547a",
    "overlap": "#6b5b95",
}


def report_page(
    metrics: Mapping[str, Any],
    verdict: Verdict | None,
    recordings: Sequence[Recording],
    turns: Sequence[Turn],
) -> str:
    """Render the report: the metrics, the verdict if there is one, and the turns with emotions."""
    deciding = verdict.deciding if verdict else ()
    by_name = turns_by_recording(turns)
    errors, confusion = _errors(metrics["scores"]), metrics["confusion"]
    labels = tuple(confusion["reference"])
    f1 = [metrics["emotions"][emotion]["f1"] or 0.0 for emotion in labels]
    return render(
        TEMPLATE,
        labels,
        m=metrics,
        verdict=verdict,
        power=verdict and verdict.power,
        deciding=len(deciding),
        failed=sum(check.result == FAIL for check in deciding),
        undecided=sum(check.result == INCONCLUSIVE for check in deciding),
        tiles=_tiles(metrics),
        confusion=confusion_rows(confusion["reference"], confusion["answers"], confusion["counts"]),
        f1_chart=shares_chart("F1 of each emotion", labels, {"F1": (ACCENT, f1)}, width=4.6),
        errors=errors,
        errors_chart=shares_chart(
            "errors over time, by kind",
            [f"{row['name']} {row['convention']}" for row in errors],
            {
                kind: (
                    colour,
                    [row.get(kind.replace(" ", "_"), 0.0) / row["total"] for row in errors],
                )
                for kind, colour in ERROR_COLOURS.items()
            },
        ),
        error_colours=ERROR_COLOURS,
        reliability=reliability_chart(
            "share of right answers by confidence",
            metrics["calibration"]["bins"],
            (metrics["calibration"]["before"] or {"bins": ()})["bins"],
        ),
        layers_chart=_layers_chart(metrics.get("layer_weights") or []),
        timelines=[timeline(r, by_name.get(r.name, []), labels) for r in recordings],
        default=DEFAULT,
    )


def _layers_chart(shares: Sequence[float]) -> str:
    """The mix of the speech encoder's layers; nothing where there is none."""
    names = ["input", *(f"layer {i}" for i in range(1, len(shares)))]
    label = "share of each layer of the speech encoder"
    return shares_chart(label, names, {"share": (ACCENT, shares)}) if shares else ""


def _tiles(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Headline numbers: name, part, and what it counts."""
    scores, words = metrics["scores"][DEFAULT], metrics["words"]
    accuracy, speakers = metrics["accuracy"], words["speaker_accuracy"]
    tiles = [
        ("Accuracy (WAR)", accuracy, f"{counted(accuracy)} utterances", "↑"),
        ("Unweighted recall", metrics["uar"], "mean over emotions", "↑"),
        ("Macro F1", metrics["macro_f1"], "mean over emotions", "↑"),
        ("Weighted F1", metrics["weighted_f1"], "weighted by utterances", "↑"),
        ("Speakers of words", speakers, f"{counted(speakers)} recognised words", "↑"),
        ("TEER", scores["teer"], counted(scores["teer"] or {}), "↓"),
        ("sTEER", scores["steer"], counted(scores["steer"] or {}), "↓"),
        ("EDER", scores["eder"], counted(scores["eder"] or {}), "↓"),
        ("DER", scores["der"], counted(scores["der"]), "↓"),
        ("cpWER", scores["cpwer"], counted(scores["cpwer"] or {}), "↓"),
        ("WER", words["wer"], counted(words["wer"]), "↓"),
    ]
    return [
        {
            "name": name,
            "rate": part and part["rate"],
            "interval": part and part.get("interval"),
            "counts": counts,
            "arrow": arrow,
        }
        for name, part, counts, arrow in tiles
    ]


def _share(row: Mapping[str, Any], kind: str) -> float:
    """A kind of error's seconds over all seconds; 0 where the score does not know that kind."""
    return float(row.get(kind.replace(" ", "_"), 0.0) / row["total"])


def _errors(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each timed score of each convention."""
    return [
        {"convention": convention, "name": name, **numbers[key]}
        for convention, numbers in scores.items()
        for key, name in (("teer", "TEER"), ("steer", "sTEER"), ("eder", "EDER"), ("der", "DER"))
        if numbers[key] is not None and numbers[key]["total"]
    ]
