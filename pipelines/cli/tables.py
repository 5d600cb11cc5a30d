"""The tables that several commands print."""

from collections.abc import Mapping, Sequence
from itertools import cycle

from rich.table import Column, Table
from rich.text import Text

from components.conversation import Turn, labels_of
from components.scoring import Verdict

EMOTION_COLOURS = ("red", "yellow", "white", "blue", "green", "magenta", "cyan")
"""Of the labels in their order; then again from the first."""

RESULT_COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def plain_table(*columns: Column | str) -> Table:
    """A table without lines, its columns' names in bold."""
    return Table(*columns, box=None, pad_edge=False, header_style="bold")


def right(*names: str) -> list[Column]:
    """Columns of numbers."""
    return [Column(name, justify="right") for name in names]


def facts_table(facts: Mapping[str, object]) -> Table:
    """Names and their values, a row each."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in facts.items():
        cell = value if isinstance(value, Text) else Text(str(value))
        table.add_row(name.replace("_", " "), cell)
    return table


def turns_table(turns: Sequence[Turn], names: Sequence[str] = ()) -> Table:
    """Turns as people read them, recording by recording.

    Args:
        turns: of all recordings.
        names: the recordings, those in which nobody speaks included; default: those of the turns.
    """
    table = plain_table(
        Column("time", justify="right", no_wrap=True),
        Column("speaker", no_wrap=True),
        Column("emotion", no_wrap=True),
        Column("sure", justify="right", no_wrap=True),
        "words",
    )
    colours = dict(zip(labels_of(turns), cycle(EMOTION_COLOURS), strict=False))
    names = list(dict.fromkeys([*names, *(turn.session_id for turn in turns)])) or [""]
    for name in names:
        if len(names) > 1:
            table.add_row("", Text(name, style="bold"), "", "", "")
        own = [turn for turn in turns if turn.session_id == name]
        for turn in own:
            table.add_row(
                f"{turn.start:7.2f}–{turn.end:.2f}",
                Text(f"{turn.speaker}{'?' if turn.doubtful_speaker else ''}"),
                Text(
                    f"{turn.emotion or '–'}{'?' if turn.uncertain else ''}",
                    style=colours.get(turn.emotion or "", ""),
                ),
                "" if turn.confidence is None else f"{turn.confidence:.0%}",
                Text(turn.words),
            )
        if not own:
            table.add_row("", "", "", "", Text("(nobody speaks)", style="dim"))
    return table


def checks_table(verdict: Verdict) -> Table:
    """A verdict's checks, for a terminal."""
    table = plain_table("gate", "number", "", "threshold", "")
    for check in verdict.checks:
        value, threshold = (
            "–" if number is None else f"{number:.4g}" for number in (check.value, check.threshold)
        )
        says = check.result if check.decides else f"{check.result} (only reported)"
        result = Text(says, RESULT_COLOURS[check.result])
        table.add_row(check.name, value, check.bound, threshold, result)
    return table
