"""`POST /v1/export`: turns, as they were answered or as people corrected them, written anew."""

from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from components.conversation import Layout
from components.conversation.seglst import turn_from
from components.conversation.subtitles import MAX_LINES, MAX_WIDTH, MIN_WIDTH
from components.reporting.turns_page import turns_page
from serving.api.accept import TurnsFormat, is_json, turns_text
from serving.api.alignment import read_body
from serving.api.cancellation import run_while_wanted
from serving.api.deadlines import work_of
from serving.api.fields import Deadline
from serving.api.schema import SCHEMAS, Name, problems
from serving.engine.scheduling import Work

MAX_TURNS = 100_000

MEDIA_TYPES = {kind.name: kind.value for kind in TurnsFormat} | {"html": "text/html"}


class ExportIn(BaseModel):
    """Turns, and the format that is wanted."""

    model_config = ConfigDict(extra="forbid")

    turns: list[dict[str, Any]] = Field(
        max_length=MAX_TURNS,
        description="As an answer has them: SegLST. Keys of your own are passed over.",
    )
    format: Literal["json", "rttm", "vtt", "srt", "html"] = Field(
        description="html: a page that shows them without a service and without a network."
    )
    session_id: Name = Field("recording", description="The recording's, where nobody speaks.")
    line_length: int = Field(42, ge=MIN_WIDTH, le=MAX_WIDTH, description="Of subtitles.")
    max_lines: int = Field(2, ge=1, le=MAX_LINES, description="Of a subtitle.")


EXPORT = APIRouter(prefix="/v1")
BODY = {"application/json": {"schema": {"$ref": SCHEMAS.format(model="ExportIn")}}}
"""The endpoint reads its body itself, in a thread, and `serving.api.app` describes its type."""
LIST = {"type": "array", "items": {"type": "object"}}
"""What SegLST is."""
TEXTS: dict[str, Any] = {
    kind: {"schema": LIST if name == "json" else {"type": "string"}}
    for name, kind in MEDIA_TYPES.items()
}


@EXPORT.post(
    "/export",
    tags=["turns"],
    summary="Turns as RTTM, WebVTT, SubRip, SegLST or a page",
    response_class=Response,
    responses=problems(400, 401, 413, 422, 429, 503, 504) | {200: {"content": TEXTS}},
    openapi_extra={"requestBody": {"content": BODY, "required": True}},
)
async def export(request: Request, x_deadline_seconds: Deadline = None) -> Response:
    """What people corrected in the turns before is in it. No audio and no model is needed."""
    if not is_json(request.headers.get("content-type", "")):
        raise HTTPException(422, "send JSON, and say so: “Content-Type: application/json”")
    work = work_of(request, x_deadline_seconds)
    body = await request.body()
    exported = request.app.state.alignment.through(work, _exported, body, work)
    kind, text = await run_while_wanted(request, work, exported)
    return Response(text, media_type=MEDIA_TYPES[kind])


def _exported(body: bytes, work: Work) -> tuple[str, str]:
    work.step("read", 0.0)
    asked = read_body(ExportIn, body)
    turns = [turn_from(turn, f"turn {number}") for number, turn in enumerate(asked.turns)]
    work.step("write", 0.0)
    name = turns[0].session_id if turns else asked.session_id
    if asked.format == "html":
        return asked.format, turns_page(turns, [name])
    layout = Layout(asked.line_length, asked.max_lines)
    return asked.format, turns_text(TurnsFormat[asked.format], name, turns, layout)
