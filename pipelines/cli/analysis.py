"""From recordings to turns in this process, and the formats in which turns are written."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from components.base import atomic_path
from components.config import Profile, Settings
from components.conversation import SpeakerSegment, Turn, turns_to_vtt, write_turns
from components.conversation.seglst import turn_entry
from components.conversation.speakers import rttm_text
from pipelines.cli.console import out, print_json, spinner
from pipelines.cli.tables import turns_table

if TYPE_CHECKING:
    from serving.engine.analyze import Analyzer


class Format(StrEnum):
    """How turns are written."""

    table = "table"
    json = "json"
    rttm = "rttm"
    vtt = "vtt"
    html = "html"


def open_analyzer(model: str, profile: Profile, settings: Settings) -> "Analyzer":
    """Load all models for the way from audio to turns, in this process.

    Args:
        model: a registered version, an alias or a folder.
        profile: names the speech models.
        settings: where things lie.
    """
    from components.fusion import Classifier
    from serving.engine.analyze import Analyzer

    folder = Path(model)
    if not folder.is_dir():
        from components.register import download

        with spinner(f"fetching model {model}"):
            folder = download(model, settings.cache / "versions", settings)
    with spinner("loading the models"):
        analyzer = Analyzer(profile, settings, Classifier(folder))
        analyzer.load()
    return analyzer


def show_turns(turns: Sequence[Turn], form: Format, output: Path | None) -> None:
    """Write turns to a file, whole or not at all, or to the screen."""
    if output is None and form is Format.table:
        out.print(turns_table(turns))
    elif output is None and form is Format.json:
        print_json([turn_entry(turn) for turn in turns])
    elif output is None:
        sys.stdout.write(turns_text(turns, form))
    elif form is Format.json:
        write_turns(output, turns)
    else:
        text = turns_text(turns, form)
        with atomic_path(output) as temporary:
            temporary.write_text(text, encoding="utf-8")


def turns_text(turns: Sequence[Turn], form: Format) -> str:
    """Turns as text of a format other than JSON."""
    if form is Format.rttm:
        return "".join(
            rttm_text(
                name,
                [SpeakerSegment(t.start, t.end, t.speaker) for t in turns if t.session_id == name],
            )
            for name in dict.fromkeys(turn.session_id for turn in turns)
        )
    if form is Format.vtt:
        return turns_to_vtt(turns)
    if form is Format.html:
        from components.reporting.turns_page import turns_page

        return turns_page(turns)
    page = StringIO()
    Console(file=page, width=120).print(turns_table(turns))
    return page.getvalue()
