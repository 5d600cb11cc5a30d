"""`moodline feedback`: what people said of the answers."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

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
