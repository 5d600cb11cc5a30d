"""`moodline score`: a hypothesis against a reference."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from components.conversation import Turn, read_turns, read_uem, turns_from_rttm
from pipelines.cli.console import out, print_json


class Convention(StrEnum):
    """How emotion errors over time are counted."""

    wu2023 = "wu2023"
    collar0 = "collar0"
    ser_align = "ser-align"


def score_command(
    reference: Annotated[Path, typer.Argument(help="SegLST JSON, or RTTM where DER is enough.")],
    hypothesis: Annotated[Path, typer.Argument(help="The same of what is scored.")],
    convention: Annotated[
        Convention, typer.Option("--convention", help="How errors over time are counted.")
    ] = Convention.wu2023,
    uem: Annotated[Path | None, typer.Option("--uem", help="Only score these stretches.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Emotion, speaker and word errors: TEER, sTEER, DER and cpWER.

    Seconds are summed over recordings, then divided. The convention stands with every number.
    """
    from components.scoring import score

    scores = score(
        _read(reference),
        _read(hypothesis),
        convention.value,
        uem=None if uem is None else read_uem(uem),
    ).to_json()
    if as_json:
        return print_json(scores)
    table = Table(box=None, pad_edge=False, title=f"convention {convention.value}")
    for name in ("", "rate", "missed", "false alarm", "confusion", "total"):
        table.add_column(name, justify="left" if not name else "right")
    for name, shown in (("teer", "TEER"), ("steer", "sTEER"), ("der", "DER")):
        part = scores[name]
        if part is None:
            table.add_row(shown, "–", "no emotions")
            continue
        seconds = [part[k] for k in ("missed", "false_alarm", "confusion", "total")]
        table.add_row(shown, _rate(part["rate"]), *(f"{s:.2f} s" for s in seconds))
    words = scores["cpwer"]
    if words is None:
        table.add_row("cpWER", "–", "no words")
    else:
        counts = (f"{words['errors']} errors", f"{words['length']} words")
        table.add_row("cpWER", _rate(words["rate"]), "", "", *counts)
    return out.print(table)


def _rate(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.2%}"


def _read(path: Path) -> list[Turn]:
    return turns_from_rttm(path) if path.suffix == ".rttm" else read_turns(path)


def add_to(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command("score")(score_command)
