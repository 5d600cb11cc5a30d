"""`/v1/operations/review`: the turns that the model was least sure of, of the key's own answers."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request, Response
from pydantic import BaseModel, Field

from components.traffic import Doubtful
from serving.api.feedback import asker_of
from serving.api.limits import OWNER
from serving.api.schema import problems
from serving.threads import FEEDBACK as FEEDBACK_THREADS

REVIEW = APIRouter(prefix="/v1/operations/review", tags=["operations"])

RequestId = Annotated[str, Path(pattern=r"^[\w.-]{1,64}$", description="The answer's.")]
NO_KEYS = "without API keys there is no list: who knows an answer's id may read all of it"
Turn = Annotated[int, Path(ge=0, le=1_000_000, description="Its place in the answer, from 0.")]


class DoubtfulOut(BaseModel):
    """A turn to listen to."""

    request_id: str = Field(description="The answer's; feedback takes it.")
    turn: int = Field(description="Its place in the answer, from 0.")
    time: datetime = Field(description="Of the answer.")
    start: float = Field(description="In seconds of its recording.")
    end: float = Field(description="Likewise.")
    speaker: str
    emotion: str = Field(description="What the model answered.")
    confidence: float
    labels: list[str] = Field(description="Those of the version that answered.")
    text: str | None = Field(description="Its words; null: the operator logs none.")
    has_sound: bool = Field(description="Whether its sound is kept and can be played.")


@REVIEW.get("", summary="Turns to listen to first", responses=problems(401, 403, 429, 503))
async def review(request: Request) -> list[DoubtfulOut]:
    """Of your own answers of the last 30 days, those on which you said nothing yet; the 30 that
    the model was least sure of. Without API keys there is no list (403)."""
    if request.app.state.keys is None:
        raise HTTPException(403, NO_KEYS)
    turns: Any = request.app.state.doubtful
    name = request.scope.get(OWNER, "")

    def read() -> list[Doubtful]:
        found: list[Doubtful] = turns.least_sure(asker_of(request).owner, name)
        return found

    return [DoubtfulOut(**asdict(turn)) for turn in await FEEDBACK_THREADS.run(read)]


@REVIEW.get(
    "/{request_id}/{turn}/sound",
    summary="The sound of a turn of yours, where it is kept",
    response_class=Response,
    responses=problems(401, 404, 409, 422, 429, 503)
    | {200: {"content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def sound(request: Request, request_id: RequestId, turn: Turn) -> Response:
    """404 where the operator keeps no sound, or the answer was given to another key."""
    turns: Any = request.app.state.doubtful

    def read() -> bytes:
        content: bytes = turns.sound(request_id, turn, asker_of(request))
        return content

    content = await FEEDBACK_THREADS.run(read)
    return Response(content, media_type="audio/wav", headers={"Cache-Control": "no-store"})
