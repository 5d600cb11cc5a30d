"""`POST /v1/feedback`: what a turn's emotion really was."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from components.conversation import Emotion
from components.traffic import Correction, UnknownRequestError
from serving import metrics
from serving.api.limits import OWNER
from serving.api.schema import Printable, problems
from serving.threads import FEEDBACK as FEEDBACK_THREADS

FEEDBACK = APIRouter(prefix="/v1")

RequestId = Annotated[str, Field(pattern=r"^[\w.-]{1,64}$", examples=["9f0c6a…"])]


class FeedbackIn(BaseModel):
    """A turn's right emotion."""

    model_config = ConfigDict(extra="forbid")

    request_id: RequestId = Field(
        description="The answer's header `X-Request-Id`; of a job, its id."
    )
    turn: int = Field(ge=0, le=1_000_000, description="Its place in the answer, from 0.")
    emotion: Emotion = Field(description="The right one; the answer's own confirms it.")
    source: Literal["agent", "reviewer"] = Field(
        "agent", description="Who says so; a reviewer's word outranks agents'."
    )
    author: Printable = Field(
        "", max_length=100, description="Which one. With an API key, the key's owner counts."
    )


class FeedbackOut(BaseModel):
    """What became of it."""

    number: int = Field(description="Of the entry on this turn, from 1.")
    new: bool = Field(description="False where the same source had said the same last.")
    contradicts: int = Field(description="Entries on this turn that name another emotion.")
    predicted: str = Field(description="What the model had answered.")
    stands: str = Field(
        description="The turn's emotion: the latest of a reviewer, else the latest of an agent."
    )


REPEATED = {"model": FeedbackOut, "description": "It had been said before; nothing was added."}


@FEEDBACK.post(
    "/feedback",
    tags=["feedback"],
    summary="Say what a turn's emotion really was",
    status_code=201,
    responses={200: REPEATED, **problems(400, 401, 404, 413, 422, 429, 503)},
)
async def feedback(request: Request, response: Response, body: FeedbackIn) -> FeedbackOut:
    """The entry is kept with the answer that it corrects. Contradictory entries are all kept. A
    repeated entry is kept once."""
    author = request.scope.get(OWNER, "") or body.author
    correction = Correction(**body.model_dump() | {"author": author})
    state: Any = request.app.state
    try:
        recorded = await FEEDBACK_THREADS.run(state.feedback.record, correction)
    except UnknownRequestError:
        metrics.FEEDBACK.labels("unknown").inc()
        raise
    kind = "repeated" if not recorded.new else "contradictory" if recorded.contradicts else "new"
    metrics.FEEDBACK.labels(kind).inc()
    if not recorded.new:
        response.status_code = 200
    return FeedbackOut(
        number=recorded.entry.number,
        new=recorded.new,
        contradicts=recorded.contradicts,
        predicted=recorded.entry.predicted,
        stands=recorded.stands,
    )
