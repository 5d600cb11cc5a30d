"""The format of an answer, by the header `Accept`; and turns as RTTM or WebVTT."""

import re
from enum import StrEnum

from starlette.exceptions import HTTPException
from starlette.responses import Response
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from components.conversation import SpeakerSegment, Turn, turns_to_vtt
from components.conversation.speakers import rttm_text


class TurnsFormat(StrEnum):
    """The media types in which turns are answered."""

    json = "application/json"
    rttm = "text/x-rttm"
    vtt = "text/vtt"


def choose_format(header: str | None) -> TurnsFormat:
    """The format that the header prefers; JSON where it has no preference.

    Raises:
        HTTPException: 406, it takes none of them.
    """
    if not header:
        return TurnsFormat.json
    # Parameters such as charset do not matter, and a weight that is no number counts as 1.
    header = re.sub(r";(?!\s*q=[\d.]+\s*(?:[,;]|$))[^;,]*", "", header)
    best = parse_accept_header(header, MIMEAccept).best_match(list(TurnsFormat))
    if best is None:
        formats = ", ".join(TurnsFormat)
        raise HTTPException(406, f"the answer comes as {formats}; accept one of them")
    return TurnsFormat(best)


def as_text(chosen: TurnsFormat, session_id: str, turns: list[Turn]) -> Response:
    """Turns as RTTM, which carries no emotions, or as WebVTT."""
    if chosen is TurnsFormat.vtt:
        text = turns_to_vtt(turns)
    else:
        spans = [SpeakerSegment(t.start, t.end, _one_word(t.speaker)) for t in turns]
        text = rttm_text(_one_word(session_id), spans)
    return Response(text, media_type=chosen.value)


def _one_word(name: str) -> str:
    """A name as an RTTM field, which a space would end."""
    return "_".join(name.split()) or "_"
