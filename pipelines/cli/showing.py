"""Turns as `analyze` shows them: on the screen or in a file, in each of its formats."""

import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Literal

from rich.console import Console

from components.base import atomic_path
from components.conversation import (
    Layout,
    SpeakerSegment,
    Turn,
    turns_to_srt,
    turns_to_vtt,
    write_turns,
)
from components.conversation.seglst import turn_entry
from components.conversation.speakers import rttm_text
from pipelines.cli.console import out, print_json
from pipelines.cli.tables import turns_table

Format = Literal["table", "json", "rttm", "vtt", "srt", "html"]


def show_turns(
    turns: Sequence[Turn],
    names: Sequence[str],
    form: Format,
    output: Path | None,
    layout: Layout,
) -> None:
    """Write the turns of the named recordings to a file, whole or not at all, or to the screen."""
    if output is None and form == "table":
        out.print(turns_table(turns, names))
    elif output is None and form == "json":
        print_json([turn_entry(turn) for turn in turns])
    elif output is None:
        sys.stdout.write(turns_text(turns, names, form, layout))
    elif form == "json":
        write_turns(output, turns)
    else:
        text = turns_text(turns, names, form, layout)
        with atomic_path(output) as temporary:
            temporary.write_text(text, encoding="utf-8")


def turns_text(turns: Sequence[Turn], names: Sequence[str], form: Format, layout: Layout) -> str:
    """Turns as text of a format other than JSON; subtitles in a layout."""
    if form == "rttm":
        spoken: dict[str, list[SpeakerSegment]] = {}
        for t in turns:
            segment = SpeakerSegment(t.start, t.end, t.speaker)
            spoken.setdefault(t.session_id, []).append(segment)
        return "".join(rttm_text(name, segments) for name, segments in spoken.items())
    if form == "vtt":
        return turns_to_vtt(turns, layout)
    if form == "srt":
        return turns_to_srt(turns, layout)
    if form == "html":
        from components.reporting.turns_page import turns_page

        return turns_page(turns, names)
    page = StringIO()
    Console(file=page, width=120).print(turns_table(turns, names))
    return page.getvalue()
