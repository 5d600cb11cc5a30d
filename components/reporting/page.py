"""What every page shares: its frame, its notice, its colours, and how it writes numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.conversation import DEFAULT_LABELS
from components.reporting.colours import ink_on, label_colours

NOTICE = (
    "The emotions are guesses of a model about people, and often wrong. They must not be used to "
    "infer the emotions of people at work or in schools (EU AI Act, Article 5), nor to decide "
    "anything about a person."
)
"""What every page that shows emotions says."""

_NONE = "–"


def render(template: Path, labels: Sequence[str] = DEFAULT_LABELS, **values: Any) -> str:
    """Render a page that extends `base.html.j2`: no script, nothing fetched, light and dark.

    Args:
        template: the page's; it may include templates of its own folder and of this one.
        labels: the emotions, whose places choose their colours.
        values: what the template names, besides `emotions`, `colours` (of each place, with the ink
            on it) and `notice`. The filter `emotion_class` gives an emotion's class in the style.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (percent, interval, signed, number)
    environment.filters |= {function.__name__: function for function in filters}
    classes = {label: f"emotion-{place}" for place, label in enumerate(labels)}
    environment.filters["emotion_class"] = lambda emotion: classes.get(emotion, "other")
    colours = [(colour, ink_on(colour)) for colour in label_colours(len(labels))]
    page = environment.get_template(template.name)
    return page.render(emotions=labels, colours=colours, notice=NOTICE, **values)


def percent(rate: float | None, digits: int = 1) -> str:
    """A rate in percent.

    >>> percent(0.5714), percent(1, digits=0), percent(None)
    ('57.1 %', '100 %', '–')
    """
    return _NONE if rate is None else f"{100 * rate:.{digits}f} %"


def signed(rate: float | None) -> str:
    """A difference of rates in points, with its sign.

    >>> signed(-0.068)
    '−6.8'
    """
    return _NONE if rate is None else f"{100 * rate:+.1f}".replace("-", "−")


def number(value: float | None) -> str:
    """A number of four digits.

    >>> number(0.123456)
    '0.1235'
    """
    return _NONE if value is None else f"{value:.4g}".replace("-", "−")


def interval(ends: Mapping[str, float] | None) -> str:
    """An interval of rates in percent; nothing where there is none.

    >>> interval({"low": 0.25, "high": 0.5})
    '25.0 to 50.0'
    """
    if ends is None:
        return ""
    return " to ".join(f"{100 * ends[end]:.1f}" for end in ("low", "high")).replace("-", "−")


def counted(part: Mapping[str, Any]) -> str:
    """What a rate is the quotient of.

    >>> counted({"errors": 2, "length": 9}), counted({"correct": 7, "total": 9}), counted({})
    ('2 errors in 9 words', '7 of 9', '')
    """
    if "correct" in part:
        return f"{part['correct']} of {part['total']}"
    if "errors" in part:
        return f"{part['errors']} errors in {part['length']} words"
    if "missed" in part:
        wrong = part["missed"] + part["false_alarm"] + part["confusion"] + part.get("overlap", 0)
        return f"{wrong:.1f} of {part['total']:.1f} s"
    return ""


def confusion_rows(
    references: Sequence[str], answers: Sequence[str], counts: Sequence[Sequence[float]]
) -> list[dict[str, Any]]:
    """A confusion matrix [references, answers] as rows of cells, each with its share of the row."""
    rows = []
    for reference, row in zip(references, counts, strict=True):
        total = sum(row)
        cells = [
            {"count": count, "share": count / total if total else 0.0, "right": answer == reference}
            for answer, count in zip(answers, row, strict=True)
        ]
        rows.append({"name": reference, "cells": cells, "total": total})
    return rows
