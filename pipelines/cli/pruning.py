"""`moodline registry prune` and `moodline runs prune`: what may go, and then it goes."""

from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from components.base import MissingError, sqlite_path
from components.config import Settings
from pipelines.cli.console import bar, note, out, print_json, spinner
from pipelines.cli.options import AsJson
from pipelines.cli.tables import plain_table

Days = Annotated[
    float, typer.Option("--older-than", min=0, metavar="DAYS", help="What is younger stays.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Delete it. Without this it is only shown.")]


def prune_registry_command(
    days: Days = 90,
    keep: Annotated[
        int,
        typer.Option(min=2, help="So many of the last versions in production, and changes, stay."),
    ] = 5,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete old versions that no rollback needs, with their files; the history stays whole.

    What has an alias, is served, or has answered since then stays, too.
    """
    from components.register import plan_prune, prune

    settings = Settings()
    with spinner("asking the registry"):
        served = _served(settings, days)
        plan = plan_prune(settings, days=days, keep=keep, served=served)
    gone = [fate.number for fate in plan if not fate.kept]
    # A prune that was killed may have left something, where no version is to go any more.
    if yes:
        with bar("deleting") as moved:
            gone = prune(settings, days=days, keep=keep, served=served, on_progress=moved)
    if as_json:
        return print_json({"deleted": gone if yes else [], "versions": [asdict(f) for f in plan]})
    table = plain_table("version", "made", "what becomes of it")
    for fate in plan:
        end = f"stays: {fate.kept}" if fate.kept else "deleted" if yes else "goes"
        table.add_row(str(fate.number), f"{fate.created:%Y-%m-%d %H:%M}", end)
    out.print(table if plan else "No version yet.")
    if yes and gone:
        note("Their runs lie in MLflow's trash; `mlflow gc` empties it.")
    return _say_what_was_done(len(gone), "versions", yes)


def prune_runs_command(days: Days = 30, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete what old local runs left: their folders, finished work, experiments.

    The runs that made a registered version stay, and those whose steps they took over.
    """
    from components.register import list_versions
    from pipelines.keeping import plan_runs, prune_runs

    settings = Settings()
    with spinner("looking at the runs"):
        versions = {version.number for version in list_versions(settings)}
        needed = _needed_by_the_trigger(settings)
        plan = plan_runs(settings, days=days, versions=versions, needed=needed)
    gone = [leftover for leftover in plan if not leftover.kept]
    if yes:
        with spinner("deleting"):
            gone = prune_runs(settings, days=days, versions=versions, needed=needed)
    if as_json:
        found = [asdict(leftover) for leftover in plan]
        return print_json({"deleted": [str(i.path) for i in gone] if yes else [], "found": found})
    table = plain_table("what", "where", "MB", "last used", "what becomes of it")
    for leftover in plan:
        end = f"stays: {leftover.kept}" if leftover.kept else "deleted" if yes else "goes"
        where = leftover.path.name if leftover.kind != "cache" else "its old files"
        used = f"{datetime.fromtimestamp(leftover.used, UTC):%Y-%m-%d %H:%M}"
        table.add_row(leftover.kind, where, f"{leftover.size / 1e6:.1f}", used, end)
    out.print(table if plan else "No run has left anything yet.")
    size = sum(leftover.size for leftover in gone) / 1e6
    return _say_what_was_done(len(gone), f"entries with {size:.1f} MB", yes)


def _say_what_was_done(count: int, what: str, yes: bool) -> None:
    if yes:
        out.print(f"Deleted {count} {what}.")
    elif count:
        out.print(f"Nothing was deleted. With --yes, {count} {what} go.")


def _served(settings: Settings, days: float) -> set[int]:
    """The versions that are served by this machine's services and by those that share its model
    repository in a store, and those that answered lately.

    Raises:
        MoodlineError: what is served cannot be found out.
    """
    from components.traffic import versions_that_answered
    from serving.lineup import parse_pointer, versions_in_pointers

    since = datetime.now(UTC) - timedelta(days=days)
    served = versions_that_answered(settings.feedback_url, since)
    for folder in (settings.home / "serving", settings.model_repository):
        served |= versions_in_pointers(folder)
    if settings.shared_repository is not None:
        pointer = settings.shared_repository / "served.json"
        with suppress(MissingError):  # nothing was served yet
            served |= set(parse_pointer(pointer.read_bytes(), str(pointer)).versions())
    return served


def _needed_by_the_trigger(settings: Settings) -> set[str]:
    """The folders of runs that go on, or are to go on, and of those that the ledger names last."""
    from pipelines.trigger import PID, Ledger

    going = {str(p.parent) for p in settings.runs.resolve().glob(f"trigger-*/{PID}")}
    path = sqlite_path(settings.trigger_url)
    if path is not None and not path.exists():
        return going
    ledger = Ledger(settings.trigger_url)
    last = {entry.cause: entry.run for entry in ledger.entries() if entry.run}
    ledger.close()
    return going | set(last.values())
