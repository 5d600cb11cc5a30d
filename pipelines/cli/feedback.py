"""`moodline feedback`: what people said of the answers; and `moodline log`: what must go."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from components.base import InputError
from components.config import Settings
from pipelines.cli.console import note, out, print_json
from pipelines.cli.options import AsJson


def export_command(
    output: Annotated[Path, typer.Option("-o", help="A new folder for the corpus.")],
    as_json: AsJson = False,
) -> None:
    """The labelled turns as a corpus, for `moodline retrain --feedback`. Only ever trained on.

    Only recordings whose sound was kept can be exported (MOODLINE_LOG_AUDIO).
    """
    from dataclasses import asdict

    from components.base import check_new_folder
    from components.traffic import FeedbackStore, export_feedback

    check_new_folder(output)
    settings = Settings()
    done = export_feedback(FeedbackStore.read(settings.feedback_url), settings.log, output)
    if as_json:
        return print_json(asdict(done))
    out.print(
        f"{output}: {done.turns} labelled turns of {done.recordings} recordings", markup=False
    )
    if done.without_audio:
        note(f"{done.without_audio} labelled turns were left out: their sound was not kept")
    return None


def show_command(as_json: AsJson = False) -> None:
    """How much feedback there is, and how right the model was, by version."""
    from components.drift import live_scores
    from components.traffic import FeedbackStore

    entries = FeedbackStore.read(Settings().feedback_url)
    live = live_scores(entries)
    if as_json:
        return print_json({"entries": len(entries), "live": live})
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (
        "version",
        "turns",
        "recordings",
        "contradicted",
        "accuracy",
        "95 %",
        "macro F1",
    ):
        table.add_column(column, justify="right")
    for version, scores in live.items():
        interval = scores["intervals"]["accuracy"]
        table.add_row(
            version,
            *(str(scores[name]) for name in ("turns", "recordings", "contradicted")),
            f"{scores['accuracy']['rate']:.1%}",
            f"{interval['low']:.1%}–{interval['high']:.1%}" if interval else "–",
            f"{scores['macro_f1']:.3f}",
        )
    sources = Counter(entry.source for entry in entries)
    out.print(table if live else "No feedback yet.")
    return note(f"{len(entries)} entries: {dict(sources)}")


def erase_command(
    recording: Annotated[
        str, typer.Argument(help="The turns' session_id, or the name of the file that was sent.")
    ],
    owner: Annotated[
        str, typer.Option("--owner", help="The name of the API key it was sent with, if one was.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Erase a recording: its rows, sound and feedback. What was exported is a copy: see to it.

    Recordings of two API keys are two, whatever their names: of one that came with a key only
    `--owner` finds the rows. Exit status 2: nothing is kept of such a recording.
    """
    from components.base import database_exists
    from components.conversation import recording_names
    from components.traffic import FeedbackStore, erase, recording_id, recording_key

    settings = Settings()
    nothing = f"{recording}: nothing is kept of a recording of that name" + (
        f" and the owner {owner}" if owner else "; one sent with an API key needs --owner"
    )
    if not settings.log.is_dir():
        raise InputError(nothing)
    key = recording_key(settings.log)
    ids = [recording_id(f"{owner}/{name}", key) for name in recording_names(recording)]
    logged, entries = sum(erase(settings.log, one) for one in ids), 0
    if database_exists(settings.feedback_url):
        store = FeedbackStore(settings.feedback_url)
        entries = sum(map(store.erase, ids))
        store.close()
    if not logged and not entries:
        raise InputError(nothing)
    if as_json:
        return print_json({"recording": ids[0], "logged": logged, "feedback": entries})
    return out.print(f"Erased: {logged} turns and sound files, {entries} entries of feedback.")
