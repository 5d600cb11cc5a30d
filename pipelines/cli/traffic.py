"""`moodline log` and `moodline feedback`: what the service keeps, taken out, erased, counted."""

from collections import Counter
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from components.base import InputError, check_new_folder, check_writable
from components.config import Settings
from pipelines.cli.console import note, out, print_json, spinner
from pipelines.cli.options import AsJson, Window, start_of
from pipelines.cli.tables import plain_table, right


def export_log_command(
    output: Annotated[Path, typer.Option("-o", help="A file ….parquet, or a new folder.")],
    window: Window = "all",
    as_json: AsJson = False,
) -> None:
    """Write the logged turns as Parquet, which pandas and DuckDB read.

    A folder holds turns/day=…/turns.parquet. `moodline drift --log` reads it, too.
    """
    from components.traffic import TurnLog, export_log

    if output.suffix == ".parquet":
        check_writable(output)
    else:
        check_new_folder(output)
    settings, now = Settings(), datetime.now(UTC)
    since = start_of(window, now)
    with closing(TurnLog(settings.log, settings.feedback_url)) as log, spinner("exporting"):
        rows = export_log(log, output, since, now)
    if as_json:
        return print_json({"path": str(output), "rows": rows})
    return out.print(f"{output}: {rows} rows", markup=False)


def erase_command(
    recording: Annotated[
        str, typer.Argument(help="The turns' session_id, or the name of the file that was sent.")
    ],
    owner: Annotated[
        str, typer.Option("--owner", help="The name of the API key it was sent with, if one was.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Erase a recording: its turns, sound and feedback. An export is a copy: see to it yourself.

    Recordings of two API keys are two, whatever their names: of one that came with a key only
    `--owner` finds the turns. Exit status 2: nothing is kept of such a recording.
    """
    from components.conversation import recording_names
    from components.traffic import TurnLog, recording_id, recording_key

    settings = Settings()
    nothing = f"{recording}: nothing is kept of a recording of that name" + (
        f" and the owner {owner}" if owner else "; one sent with an API key needs --owner"
    )
    if not settings.log.is_dir():
        raise InputError(nothing)
    key = recording_key(settings.log)
    ids = [recording_id(f"{owner}/{name}", key) for name in recording_names(recording)]
    with closing(TurnLog(settings.log, settings.feedback_url)) as log:
        logged, feedback = log.erase(ids)
    if not logged and not feedback:
        raise InputError(nothing)
    if as_json:
        return print_json({"recording": ids[0], "logged": logged, "feedback": feedback})
    return out.print(f"Erased: {logged} turns and sound files, {feedback} entries of feedback.")


def export_feedback_command(
    output: Annotated[Path, typer.Option("-o", help="A new folder for the corpus.")],
    as_json: AsJson = False,
) -> None:
    """The labelled turns as a corpus, for `moodline retrain --feedback`. Only ever trained on.

    Only recordings whose sound was kept can be exported (MOODLINE_LOG_AUDIO).
    """
    from components.traffic import FeedbackStore, export_feedback

    check_new_folder(output)
    settings = Settings()
    done = export_feedback(FeedbackStore.read(settings.feedback_url), settings.log, output)
    if as_json:
        return print_json(asdict(done))
    exported = f"{done.turns} labelled turns of {done.recordings} recordings"
    out.print(f"{output}: {exported}", markup=False)
    if done.without_audio:
        note(f"{done.without_audio} labelled turns were left out: their sound was not kept")
    return None


def show_feedback_command(as_json: AsJson = False) -> None:
    """How much feedback there is, and how right the model was, by version."""
    from components.drift import live_scores
    from components.traffic import FeedbackStore

    entries = FeedbackStore.read(Settings().feedback_url)
    live = live_scores(entries)
    if as_json:
        return print_json({"entries": len(entries), "live": live})
    counts = ("turns", "recordings", "contradicted")
    table = plain_table(*right("version", *counts, "accuracy", "95 %", "macro F1"))
    for version, scores in live.items():
        interval = scores["intervals"]["accuracy"]
        table.add_row(
            version,
            *(str(scores[name]) for name in counts),
            f"{scores['accuracy']['rate']:.1%}",
            f"{interval['low']:.1%}–{interval['high']:.1%}" if interval else "–",
            f"{scores['macro_f1']:.3f}",
        )
    sources = Counter(entry.source for entry in entries)
    out.print(table if live else "No feedback yet.")
    return note(f"{len(entries)} entries: {dict(sources)}")
