"""The evaluation as one HTML file for people: no script, nothing fetched, light and dark."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.conversation import EMOTIONS, Recording, Turn
from components.reporting.timeline import timeline
from components.reporting.turns_page import COLOURS, NOTICE
from components.scoring import DEFAULT, FAIL, INCONCLUSIVE, Verdict, by_recording

TEMPLATE = Path(__file__).with_name("report.html.j2")


def report_page(
    metrics: Mapping[str, Any],
    verdict: Verdict,
    recordings: Sequence[Recording],
    turns: Sequence[Turn],
) -> str:
    """Render the report.

    Args:
        metrics: as in `metrics.json`.
        verdict: the gate's.
        recordings: of the test fold.
        turns: theirs, with the model's emotions.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "interval": _interval,
        "signed": _signed,
        "number": _number,
    }
    by_name = by_recording(turns)
    return environment.get_template(TEMPLATE.name).render(
        m=metrics,
        verdict=verdict,
        failed=sum(check.result == FAIL for check in verdict.checks),
        undecided=sum(check.result == INCONCLUSIVE for check in verdict.checks),
        tiles=_tiles(metrics),
        confusion=_confusion(metrics["confusion"]),
        breakdown=_breakdown(metrics["scores"]),
        reliability=_reliability(metrics["calibration"]),
        timelines=[
            timeline(recording, by_name.get(recording.name, [])) for recording in recordings
        ],
        emotions=EMOTIONS,
        colours=COLOURS,
        default=DEFAULT,
        notice=NOTICE,
    )


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}".replace("-", "−")


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.1f}".replace("-", "−")


def _interval(interval: Mapping[str, float] | None) -> str:
    if interval is None:
        return ""
    low, high = (f"{100 * interval[end]:.1f}".replace("-", "−") for end in ("low", "high"))
    return f"{low} to {high}"


def _tiles(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Headline numbers: name, part, and what it counts."""
    scores, words = metrics["scores"][DEFAULT], metrics["words"]
    accuracy, speakers = metrics["accuracy"], words["speaker_accuracy"]

    def seconds(part: Mapping[str, Any] | None) -> str:
        if part is None:
            return ""
        wrong = part["missed"] + part["false_alarm"] + part["confusion"]
        return f"{wrong:.1f} of {part['total']:.1f} s"

    def counted(part: Mapping[str, Any] | None, noun: str) -> str:
        return "" if part is None else f"{part['errors']} errors in {part['length']} {noun}"

    up = [
        ("Accuracy (WAR)", accuracy, f"{accuracy['correct']} of {accuracy['total']} utterances"),
        ("Unweighted recall", metrics["uar"], "mean over emotions"),
        ("Macro F1", metrics["macro_f1"], "mean over emotions"),
        ("Weighted F1", metrics["weighted_f1"], "weighted by utterances"),
        (
            "Speakers of words",
            speakers,
            f"{speakers['correct']} of {speakers['total']} recognised words",
        ),
    ]
    down = [
        ("TEER", scores["teer"], seconds(scores["teer"])),
        ("sTEER", scores["steer"], seconds(scores["steer"])),
        ("DER", scores["der"], seconds(scores["der"])),
        ("cpWER", scores["cpwer"], counted(scores["cpwer"], "words")),
        ("WER", words["wer"], counted(words["wer"], "words")),
    ]
    return [
        {
            "name": name,
            "rate": None if part is None else part["rate"],
            "interval": None if part is None else part.get("interval"),
            "counts": counts,
            "arrow": arrow,
        }
        for group, arrow in ((up, "↑"), (down, "↓"))
        for name, part, counts in group
    ]


def _confusion(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of cells, each with its count and its share of the row."""
    rows = []
    for name, counts in zip(table["reference"], table["counts"], strict=True):
        total = sum(counts)
        cells = [
            {
                "answer": answer,
                "count": count,
                "share": count / total if total else 0.0,
                "right": answer == name,
            }
            for answer, count in zip(table["answers"], counts, strict=True)
        ]
        rows.append({"name": name, "cells": cells, "total": total})
    return rows


def _breakdown(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each timed score of each convention as parts of a bar, widths on one common scale."""
    found = []
    for convention, numbers in scores.items():
        for key, name in (("teer", "TEER"), ("steer", "sTEER"), ("der", "DER")):
            part = numbers[key]
            if part is not None and part["total"]:
                found.append({"convention": convention, "name": name, **part})
    longest = max((row["rate"] for row in found), default=0.0) or 1.0
    for row in found:
        row["widths"] = {
            kind: 100 * row[kind] / row["total"] / longest
            for kind in ("missed", "false_alarm", "confusion")
        }
    return found


def _reliability(calibration: Mapping[str, Any]) -> list[dict[str, float]]:
    """The bins that hold answers: their mean confidence, share right, and size."""
    return [
        {
            "confidence": bin_["confidence"] / bin_["count"],
            "right": bin_["correct"] / bin_["count"],
            "count": bin_["count"],
            "correct": bin_["correct"],
            "share": bin_["count"] / calibration["total"],
        }
        for bin_ in calibration["bins"]
        if bin_["count"]
    ]
