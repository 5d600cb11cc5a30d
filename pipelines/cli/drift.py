"""`moodline drift`: the last traffic against what the model version was made on."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from components.base import InputError, Refused, located, write_file
from components.config import Settings
from pipelines.cli.console import note, out, place_option, print_json, spinner, stdout_taken
from pipelines.cli.options import AsJson, Window, start_of
from pipelines.cli.tables import plain_table, right

if TYPE_CHECKING:
    from components.drift import DriftResult, FeatureDrift


def drift_command(
    window: Window = "24h",
    until: Annotated[
        datetime | None, typer.Option(help="The window's end, in UTC; default: now.")
    ] = None,
    version: Annotated[
        str, typer.Option(help="A version or alias, or a version's folder.")
    ] = "production",
    log: Annotated[
        Path | None, typer.Option(help="Another log: a folder of `moodline log export`.")
    ] = None,
    output: Annotated[str | None, place_option("Where the HTML report goes.")] = None,
    prom: Annotated[
        str | None, place_option("Where gauges for Prometheus go (.prom)", "--prom")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Has the traffic drifted from what the version was made on?

    Exit status 0: no, the window is too small to tell, or no version is in production yet; 1: yes.
    The verdict is also left in the log's folder, as drift.json.
    """
    from components.drift import drift, no_version_gauges
    from components.traffic import FeedbackStore, TurnLog, read_export

    page, gauges = (located(place) if place else None for place in (output, prom))
    taken = stdout_taken(as_json, page, gauges)
    settings = Settings()
    end = until.replace(tzinfo=UTC) if until else datetime.now(UTC)
    since = start_of(window, end)
    if log is not None and not log.is_dir():
        raise InputError(f"--log {log}: no such folder")
    with spinner("fetching the version's reference"):
        found = version_folder(version, settings)
    if found is None:
        note("No version is in production yet: there is nothing to compare the traffic with")
        if gauges is not None:  # an alert asks whether anybody looks
            write_file(gauges, no_version_gauges(datetime.now(UTC)))
        return print_json(None) if as_json else None
    folder, number, registered = found
    with spinner("comparing"):
        if log is not None:
            turns = read_export(log, since, end, version=number)
        else:
            with closing(TurnLog(settings.log_location, settings.feedback_url)) as own:
                turns = own.window(since, end, version=number)
        entries = FeedbackStore.read(settings.feedback_url, since)
        feedback = [entry for entry in entries if entry.time < end]
        result = drift(
            turns, folder, since=since, until=end, version=number, registered=registered,
            feedback=feedback,
        )  # fmt: skip
    result.write(verdict=(log or settings.log) / "drift.json", report=page, prom=gauges)
    if as_json:
        print_json(result.to_json())
    elif not taken:
        show(result)
    if output is not None:
        note(f"{output}: the report")
    if result.verdict.decision == "drift":
        raise Refused(f"drift: {result.verdict.reason}")


def version_folder(
    version: str, settings: Settings
) -> tuple[Path, int | None, datetime | None] | None:
    """A version's folder and number, and when it was registered; a folder of its own has only
    itself, and every version counts. None: that in production, where none is yet."""
    if Path(version).is_dir():
        return Path(version), None, None
    from components.register import alias_version, download, show

    # A schedule asks from a cluster's first hour on: that is no failure of its job.
    if version == "production" and alias_version(version, settings) is None:
        return None
    known = show(version, settings)
    folder = settings.cache / "versions" / str(known.number)
    return download(known.number, folder, settings), known.number, known.created


def show(result: "DriftResult") -> None:
    """Print the verdict, feature by feature."""
    numbers = ("reference", "window", "statistic", "value", "beyond chance", "p", "psi")
    table = plain_table("feature", *right(*numbers), "")
    for feature in result.verdict.features:
        table.add_row(*_row(feature))
    out.print(table)
    for number, scores in result.live.items():
        interval = scores["intervals"]["accuracy"]
        spread = f" ({interval['low']:.1%}–{interval['high']:.1%})" if interval else ""
        out.print(
            f"Feedback on version {number}: {scores['turns']} turns, accuracy"
            f" {scores['accuracy']['rate']:.1%}{spread}, {scores['contradicted']} contradicted"
        )
    verdict = result.verdict
    size = f"{verdict.turns} turns, {verdict.recordings} recordings"
    out.print(f"{verdict.decision.replace('_', ' ')}: {verdict.reason} ({size})", markup=False)


def _row(feature: "FeatureDrift") -> list[str | Text]:
    before, now = (
        "" if "mean" not in side else f"{side['mean']:.3g}"
        for side in (feature.reference, feature.window)
    )
    if feature.value is None or feature.effect is None or feature.adjusted is None:
        why = Text(feature.why_not or "not judged", style="dim")
        return [feature.name, before, now, "", "", "", "", "", why]
    mark = Text("drifted", "red") if feature.drifted else Text("as before", "green")
    numbers = [f"{n:.4f}" for n in (feature.value, feature.effect, feature.adjusted)]
    psi = "" if feature.psi is None else f"{feature.psi:.3f}"
    return [feature.name, before, now, feature.statistic, *numbers, psi, mark]
