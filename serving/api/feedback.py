"""`POST /v1/feedback`: what a turn's emotion really was, or who spoke."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from components.base import InputError, check_named_once
from components.traffic import Asker, Correction, UnknownRequestError
from components.traffic.feedback import Recorded
from serving import metrics
from serving.api.limits import OWNER, REVIEWER
from serving.api.schema import Printable, problems
from serving.threads import FEEDBACK as FEEDBACK_THREADS


class _NamedOnce(Request):
    """A request whose JSON may name a key once only."""

    async def json(self) -> Any:
        """The body's content.

        Raises:
            HTTPException: 422: one object names a key twice.
        """
        content = await super().json()
        try:
            check_named_once((await self.body()).decode("utf-8", "replace"), "the body")
        except InputError as error:
            raise HTTPException(error.http_status, str(error)) from None
        return content


class _Route(APIRoute):
    """A route of such requests."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own, for them."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            return await handle(_NamedOnce(request.scope, request.receive))

        return checked


FEEDBACK = APIRouter(prefix="/v1", route_class=_Route)

RequestId = Annotated[str, Field(pattern=r"^[\w.-]{1,64}$", examples=["9f0c6a…"])]


class FeedbackIn(BaseModel):
    """A turn's right emotion."""

    model_config = ConfigDict(extra="forbid")

    request_id: RequestId = Field(
        description="The answer's `request_id`; of a job, its id. The id that you gave the request"
        " is taken, too, while it means one recording."
    )
    recording: Printable = Field(
        "",
        max_length=200,
        description="The turns' `session_id`. Needed only for what was answered before keys were"
        " asked for, or by version 0.1, and where one id means several recordings.",
    )
    turn: int = Field(ge=0, le=1_000_000, description="Its place in the answer, from 0.")
    emotion: Printable | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="The right one, of the labels of the version that answered (the answer's"
        " `model.labels`); the answer's own confirms it.",
        examples=["sad"],
    )
    speaker: Printable | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="In place of the emotion: who speaks in the turn. It is kept as you write it;"
        " no model is trained on it.",
        examples=["SPEAKER_01"],
    )
    source: Literal["agent", "reviewer"] = Field(
        "agent",
        description="Who says so; a reviewer's word outranks agents'. The operator decides which"
        " keys may say reviewer.",
    )
    author: Printable = Field(
        "", max_length=100, description="Which one. With an API key, the key's owner counts."
    )

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if (self.emotion is None) == (self.speaker is None):
            raise PydanticCustomError("one_thing", "name an emotion, or a speaker")
        return self


class FeedbackOut(BaseModel):
    """What became of it."""

    number: int = Field(description="Of the entry on this turn, from 1.")
    new: bool = Field(description="False where the same source had said the same last.")
    contradicts: int = Field(description="Votes on this turn that name another emotion.")
    predicted: str = Field(description="What had been answered.")
    stands: str = Field(
        description="The turn's emotion: the latest of a reviewer, else the latest of an agent. Of"
        " speakers: what you said."
    )


REPEATED = {"model": FeedbackOut, "description": "It had been said before; nothing was added."}


@FEEDBACK.post(
    "/feedback",
    tags=["feedback"],
    summary="Say what a turn's emotion really was, or who spoke",
    status_code=201,
    responses={200: REPEATED, **problems(400, 401, 403, 404, 409, 413, 422, 429, 503)},
)
async def feedback(request: Request, response: Response, body: FeedbackIn) -> FeedbackOut:
    """The entry is kept with the answer that it corrects, which must have been given to the same
    key. A key has one vote on a turn: its latest. A repeated entry is kept once."""
    owner = request.scope.get(OWNER, "")
    if body.source == "reviewer" and not request.scope.get(REVIEWER):
        raise HTTPException(403, "this key gives feedback as an agent; ask the operator for more")
    state: Any = request.app.state
    author = owner or body.author

    def record() -> FeedbackOut:
        asker = asker_of(request, body.recording)
        if body.speaker is not None:
            turn = (body.request_id, body.turn)
            said = state.statements.say_speaker(*turn, body.speaker, asker, owner, author)
            return FeedbackOut(
                number=said.number,
                new=said.new,
                contradicts=0,
                predicted=said.answered,
                stands=body.speaker,
            )
        fields = body.model_dump(exclude={"recording", "speaker"})
        correction = Correction(**fields | {"author": author, "voter": owner})
        recorded: Recorded = state.feedback.record(correction, asker)
        return FeedbackOut(
            number=recorded.entry.number,
            new=recorded.new,
            contradicts=recorded.contradicts,
            predicted=recorded.entry.predicted,
            stands=recorded.stands,
        )

    try:
        recorded = await FEEDBACK_THREADS.run(record)
    except UnknownRequestError:
        metrics.FEEDBACK.labels("unknown").inc()
        raise
    kind = "repeated" if not recorded.new else "contradictory" if recorded.contradicts else "new"
    metrics.FEEDBACK.labels(kind).inc()
    if not recorded.new:
        response.status_code = 200
    return recorded


def asker_of(request: Request, recording: str = "") -> Asker:
    """Who sent a request, as the log knows senders; call it in a thread."""
    owner, log = request.scope.get(OWNER, ""), request.app.state.runtime.log
    return log.asker(owner, recording) if log else Asker(owner)
