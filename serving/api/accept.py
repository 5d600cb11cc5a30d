"""The format of an answer, by the header `Accept` or by name; and turns as RTTM or subtitles."""

import json
import re
from collections.abc import Sequence
from enum import StrEnum

from starlette.exceptions import HTTPException
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from components.conversation import Layout, SpeakerSegment, Turn, turns_to_srt, turns_to_vtt
from components.conversation.seglst import turn_entry
from components.conversation.speakers import rttm_text


class TurnsFormat(StrEnum):
    """The media types in which turns are answered."""

    json = "application/json"
    rttm = "text/x-rttm"
    vtt = "text/vtt"
    srt = "application/x-subrip"


def choose_format(header: str | None, name: str | None = None) -> TurnsFormat:
    """The format that is asked for by name, or that the header prefers; JSON where neither does.

    Raises:
        HTTPException: 406, the header takes none of them.
    """
    if name:
        return TurnsFormat[name]
    if not header:
        return TurnsFormat.json
    # Parameters such as charset do not matter, and a weight that is no number counts as 1.
    header = re.sub(r";(?!\s*q=[\d.]+\s*(?:[,;]|$))[^;,]*", "", header)
    best = parse_accept_header(header, MIMEAccept).best_match(list(TurnsFormat))
    if best is None:
        formats = ", ".join(TurnsFormat)
        raise HTTPException(406, f"the answer comes as {formats}; accept one of them")
    return TurnsFormat(best)


def is_json(content_type: str) -> bool:
    """Whether a body is sent as JSON."""
    kind = content_type.partition(";")[0].strip().lower()
    return re.fullmatch(r"application/(.+\+)?json", kind) is not None


def turns_text(
    chosen: TurnsFormat, session_id: str, turns: Sequence[Turn], layout: Layout | None = None
) -> str:
    """Turns as JSON, as RTTM, which carries no emotions, or as subtitles in a layout."""
    layout = layout or Layout()
    if chosen is TurnsFormat.json:
        return json.dumps([turn_entry(turn) for turn in turns], ensure_ascii=False)
    if chosen is TurnsFormat.vtt:
        return turns_to_vtt(turns, layout)
    if chosen is TurnsFormat.srt:
        return turns_to_srt(turns, layout)
    spans = [SpeakerSegment(t.start, t.end, _one_word(t.speaker)) for t in turns]
    return rttm_text(_one_word(session_id), spans)


def _one_word(name: str) -> str:
    """A name as an RTTM field, which a space would end."""
    return "_".join(name.split()) or "_"
