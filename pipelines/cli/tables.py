"""The tables that several commands print."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from components.conversation import Turn
from components.scoring import Verdict

EMOTION_COLOURS = {"angry": "red", "happy": "yellow", "neutral": "white", "sad": "blue"}
RESULT_COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def turns_table(turns: Sequence[Turn]) -> Table:
    """Turns as people read them."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("speaker", no_wrap=True)
    table.add_column("emotion", no_wrap=True)
    table.add_column("sure", justify="right", no_wrap=True)
    table.add_column("words")
    several = len({turn.session_id for turn in turns}) > 1
    last = ""
    for turn in turns:
        if several and turn.session_id != last:
            table.add_row("", Text(turn.session_id, style="bold"), "", "", "")
            last = turn.session_id
        table.add_row(
            f"{turn.start:7.2f}–{turn.end:.2f}",
            Text(turn.speaker),
            Text(turn.emotion or "–", style=EMOTION_COLOURS.get(turn.emotion or "", "")),
            "" if turn.confidence is None else f"{turn.confidence:.0%}",
            Text(turn.words),
        )
    if not turns:
        table.add_row("", "", "", "", Text("(nobody speaks)", style="dim"))
    return table


def checks_table(verdict: Verdict) -> Table:
    """A verdict's checks, for a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("gate", "number", "", "threshold", ""):
        table.add_column(column)
    for check in verdict.checks:
        table.add_row(
            check.name,
            _number(check.value),
            check.bound,
            _number(check.threshold),
            Text(check.result, RESULT_COLOURS[check.result]),
        )
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
