"""`moodline gate`: a verdict, check by check; its exit status is the verdict's."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from components.config import Settings
from components.register import Refused
from components.scoring import Verdict, read_verdict
from pipelines.cli.console import out, print_json, spinner

COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def gate_command(
    verdict: Annotated[str, typer.Argument(help="A verdict.json, or a version or its alias.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """A gate's verdict: each check with its number and threshold.

    Exit status 1: it did not pass.
    """
    found = _find(verdict)
    if as_json:
        print_json(found.to_json())
    else:
        out.print(checks_table(found))
    if not found.passed:
        raise Refused(f"the gate says {found.decision}: {'; '.join(found.reasons)}")


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
            Text(check.result, COLOURS[check.result]),
        )
    return table


def _find(name: str) -> Verdict:
    """The verdict in a file of that name, else of the version."""
    path = Path(name)
    if path.is_file() or path.suffix or "/" in name:
        return read_verdict(path)
    from components.register import verdict_of

    with spinner("asking the registry"):
        return verdict_of(name, Settings())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def add_to(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command("gate")(gate_command)
