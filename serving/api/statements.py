"""`/v1/feedback`: what a sender has said so far, and taking it back."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from components.traffic import Said
from serving.api.feedback import asker_of
from serving.api.limits import OWNER
from serving.api.schema import problems
from serving.threads import FEEDBACK as FEEDBACK_THREADS

STATEMENTS = APIRouter(prefix="/v1/feedback", tags=["feedback"])

RequestId = Annotated[
    str, Path(pattern=r"^[\w.-]{1,64}$", description="The answer's `request_id`; of a job, its id.")
]
Turn = Annotated[int, Path(ge=0, le=1_000_000, description="Its place in the answer, from 0.")]
PROBLEMS = (401, 404, 409, 422, 429, 503)


class SaidOut(BaseModel):
    """What you say of a turn; a field is left out where you say nothing."""

    turn: int = Field(description="Its place in the answer, from 0.")
    emotion: str | None = Field(None, examples=["sad"])
    speaker: str | None = Field(None, examples=["SPEAKER_01"])


class CountOut(BaseModel):
    """What you have said of the answers of the version in production, in turns."""

    version: str = Field(description="The registry's version number.", examples=["3"])
    corrected: int = Field(description="Turns to which you gave another emotion than it did.")
    confirmed: int = Field(description="Turns whose emotion you confirmed.")
    speakers: int = Field(description="Turns to which you gave another speaker.")


@STATEMENTS.get("", summary="How much you have corrected since this version answers")
async def count(request: Request) -> CountOut:
    """It was trained before it answered, so none of this has been trained on by it."""
    state: Any = request.app.state
    version = state.runtime.classifier.model().version
    owner = request.scope.get(OWNER, "")
    counts = await FEEDBACK_THREADS.run(state.statements.count, version, owner)
    return CountOut(
        version=str(version),
        corrected=counts.corrected,
        confirmed=counts.confirmed,
        speakers=counts.speakers,
    )


@STATEMENTS.get(
    "/{request_id}",
    summary="What you have said of an answer's turns",
    response_model_exclude_none=True,
    responses=problems(*PROBLEMS),
)
async def statements(request: Request, request_id: RequestId) -> list[SaidOut]:
    """Of each turn the latest that you said; turns of which you said nothing are left out."""
    state: Any = request.app.state
    owner = request.scope.get(OWNER, "")

    def read() -> list[Said]:
        said: list[Said] = state.statements.of_answer(request_id, asker_of(request), owner)
        return said

    return [_out(said) for said in await FEEDBACK_THREADS.run(read)]


@STATEMENTS.delete(
    "/{request_id}/{turn}",
    summary="Take back what you said last of a turn",
    response_model_exclude_none=True,
    responses=problems(*PROBLEMS),
)
async def withdraw(
    request: Request,
    request_id: RequestId,
    turn: Turn,
    of: Annotated[
        Literal["emotion", "speaker"], Query(description="Which of the two.")
    ] = "emotion",
) -> SaidOut:
    """What you had said before, if anything, counts again; the answer says what that is."""
    state: Any = request.app.state
    owner = request.scope.get(OWNER, "")

    def take_back() -> Said:
        place = (request_id, turn, of)
        said: Said = state.statements.withdraw(*place, asker_of(request), owner)
        return said

    return _out(await FEEDBACK_THREADS.run(take_back))


def _out(said: Said) -> SaidOut:
    return SaidOut(turn=said.turn, emotion=said.emotion, speaker=said.speaker)
