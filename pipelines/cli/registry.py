"""`moodline registry`: the versions, what is in production, how it came there, and back."""

import getpass
import re
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from components.config import Settings
from pipelines.cli.console import out, print_json, spinner
from pipelines.cli.options import AsJson


class Stage(StrEnum):
    """Where a version can be put."""

    staging = "staging"
    production = "production"


MAIN_METRIC = re.compile(r"[^.]+|emotions\.\w+\.f1|scores\.wu2023\.\w+|calibration\.ece")
"""The metrics that are shown; --json gives all."""

Actor = Annotated[str | None, typer.Option("--actor", help="Who does it; default: you.")]


def list_command(as_json: AsJson = False) -> None:
    """Every version, the newest first."""
    from components.register import list_versions

    with spinner("asking the registry"):
        versions = list_versions(Settings())
    if as_json:
        return print_json([asdict(version) for version in versions])
    table = _table("version", "aliases", "verdict", "accuracy", "made", "commit")
    for version in versions:
        accuracy = version.metrics.get("accuracy")
        table.add_row(
            str(version.number),
            ", ".join(version.aliases),
            _verdict(version.verdict),
            "" if accuracy is None else f"{accuracy:.1%}",
            f"{version.created:%Y-%m-%d %H:%M}",
            version.lineage.get("git_commit", "")[:10],
        )
    return out.print(table if versions else "No version yet; moodline retrain makes one.")


def show_command(
    version: Annotated[str, typer.Argument(help="A number or an alias.")], as_json: AsJson = False
) -> None:
    """One version: its verdict, numbers and lineage."""
    from components.register import show

    with spinner("asking the registry"):
        shown = show(version, Settings())
    if as_json:
        return print_json(asdict(shown))
    table = Table(box=None, show_header=False, pad_edge=False)
    rows: dict[str, Any] = {
        "version": shown.number,
        "aliases": ", ".join(shown.aliases) or "–",
        "made": f"{shown.created:%Y-%m-%d %H:%M:%S}",
        "verdict": _verdict(shown.verdict),
        "digest": shown.digest,
        "run": shown.run_id,
        **shown.lineage,
        **{n: f"{v:.4f}" for n, v in sorted(shown.metrics.items()) if MAIN_METRIC.fullmatch(n)},
    }
    for name, value in rows.items():
        table.add_row(name.replace("_", " "), value if isinstance(value, Text) else str(value))
    for reason in shown.reasons:
        table.add_row("reason", reason)
    return out.print(table)


def promote_command(
    version: Annotated[str, typer.Argument(help="A number, or an alias.")] = "candidate",
    to: Annotated[Stage, typer.Option("--to", help="Where.")] = Stage.production,
    actor: Actor = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="Why; a must with --force, or if a person must decide."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Whatever the verdict says.")] = False,
) -> None:
    """Put a version into production, or into staging, if its verdict passed."""
    from components.register import promote

    with spinner("promoting"):
        entry = promote(
            version,
            Settings(),
            actor=actor or getpass.getuser(),
            reason=reason,
            force=force,
            to=to.value,
        )
    out.print(f"Version {entry.to_version} is in {entry.stage}.")


def rollback_command(
    actor: Actor = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why.")] = None,
    stage: Annotated[
        Stage, typer.Option("--from", help="Where it is taken from.")
    ] = Stage.production,
) -> None:
    """Put the version before this one back into production; or take what is in staging out."""
    from components.register import rollback

    with spinner("rolling back"):
        entry = rollback(
            Settings(), actor=actor or getpass.getuser(), reason=reason, stage=stage.value
        )
    if entry.to_version is None:
        out.print(f"Version {entry.from_version} is not in {entry.stage} any more.")
    else:
        out.print(f"Version {entry.to_version} is in {entry.stage} again.")


def history_command(as_json: AsJson = False) -> None:
    """Every change of production and staging: who, when, from, to, on which verdict, why."""
    from components.register import history

    with spinner("asking the registry"):
        entries = history(Settings())
    if as_json:
        return print_json([asdict(entry) for entry in entries])
    table = _table("step", "when", "who", "what", "where", "from", "to", "verdict", "reason", "")
    for entry in entries:
        table.add_row(
            str(entry.step),
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            Text(entry.actor),
            entry.action,
            entry.stage,
            str(entry.from_version or "–"),
            str(entry.to_version or "–"),
            _verdict(entry.verdict),
            Text(entry.reason),
            ("forced" if entry.forced else "") if entry.won else "refused: someone was faster",
        )
    return out.print(table if entries else "Nothing was ever in production or staging.")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column)
    return table


def _verdict(decision: str) -> Text:
    return Text(decision, style={"pass": "green", "fail": "red"}.get(decision, "yellow"))
