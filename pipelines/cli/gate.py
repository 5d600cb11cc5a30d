"""`moodline gate`: a verdict, check by check; its exit status is the verdict's."""

from pathlib import Path
from typing import Annotated

import typer

from components.base import Refused
from components.config import Settings
from components.scoring import Verdict, read_verdict
from pipelines.cli.console import out, print_json, spinner
from pipelines.cli.options import AsJson
from pipelines.cli.tables import checks_table


def gate_command(
    verdict: Annotated[str, typer.Argument(help="A verdict.json, or a version or its alias.")],
    as_json: AsJson = False,
) -> None:
    """A gate's verdict: each check with its number and threshold.

    Exit status 1: it did not pass.
    """
    judged = _read(verdict)
    if as_json:
        print_json(judged.to_json())
    else:
        out.print(checks_table(judged))
    if not judged.passed:
        raise Refused(f"the gate says {judged.decision}: {'; '.join(judged.reasons)}")


def _read(name: str) -> Verdict:
    """The verdict in the file of that name, or else of the version."""
    path = Path(name)
    if path.is_file() or path.suffix or "/" in name:
        return read_verdict(path)
    from components.register import verdict_of

    with spinner("asking the registry"):
        return verdict_of(name, Settings())
