"""Which form of answer the sender takes (`Accept`), and turns in the forms of text."""

from enum import StrEnum

from starlette.exceptions import HTTPException
from starlette.responses import Response

from components.conversation import SpeakerSegment, Turn, turns_to_vtt
from components.conversation.speakers import rttm_text


class Form(StrEnum):
    """A form in which turns are answered."""

    json = "application/json"
    rttm = "text/x-rttm"
    vtt = "text/vtt"


def accepted(header: str | None) -> Form:
    """The form that the header likes best; JSON where it does not care.

    Raises:
        HTTPException: 406, it takes none of them.
    """
    if not header:
        return Form.json
    ranges = [_range(part) for part in header.split(",")]

    def liking(form: Form) -> float:
        kind = form.split("/")[0]
        for pattern in (form.value, f"{kind}/*", "*/*"):  # the closest one counts
            found = [weight for media, weight in ranges if media == pattern]
            if found:
                return max(found)
        return 0.0

    best = max(Form, key=liking)  # the first of equals
    if liking(best) <= 0:
        raise HTTPException(406, f"the answer comes as {', '.join(Form)}; accept one of them")
    return best


def as_text(form: Form, session_id: str, turns: list[Turn]) -> Response:
    """Turns as RTTM, which carries no emotions, or as WebVTT."""
    if form is Form.vtt:
        text = turns_to_vtt(turns)
    else:
        spans = [SpeakerSegment(t.start, t.end, _one_word(t.speaker)) for t in turns]
        text = rttm_text(_one_word(session_id), spans)
    return Response(text, media_type=form.value)


def _range(part: str) -> tuple[str, float]:
    """`text/vtt;q=0.5` as a media type and a weight; a weight that is none counts as 1."""
    media, *options = (piece.strip().lower() for piece in part.split(";"))
    for option in options:
        name, _, value = option.partition("=")
        if name.strip() == "q":
            try:
                return media, min(max(float(value), 0.0), 1.0)
            except ValueError:
                return media, 1.0
    return media, 1.0


def _one_word(name: str) -> str:
    """A name as RTTM holds it: spaces would end it."""
    return "_".join(name.split()) or "_"
