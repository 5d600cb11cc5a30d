"""`POST /v1/feedback`: what a turn's emotion really was."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from components.base import DatabaseAwayError, database_errors
from components.conversation import Emotion
from components.traffic import (
    Correction,
    FeedbackStore,
    Recorded,
    UnknownRequestError,
    find_request,
)
from serving import metrics
from serving.api.limits import OWNER
from serving.api.schema import Printable, Problem

FEEDBACK = APIRouter(prefix="/v1")

RequestId = Annotated[str, Field(pattern=r"^[\w.-]{1,64}$", examples=["9f0c6a…"])]


class FeedbackDatabase:
    """The feedback's database, which may be away at first; call its methods in a thread.

    Each method raises `DatabaseAwayError` where the database does not answer.

    Args:
        url: SQLAlchemy's.

    Raises:
        InputError: it is no such URL, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: FeedbackStore | None = None
        with contextlib.suppress(DatabaseAwayError):
            self.store()

    def store(self) -> FeedbackStore:
        """What is in it; two threads that open it at the same time do no harm."""
        if self._store is None:
            self._store = FeedbackStore(self._url)
        return self._store

    def record(self, correction: Correction, rows: Sequence[Mapping[str, Any]]) -> Recorded:
        """As `FeedbackStore.record`."""
        with database_errors():
            return self.store().record(correction, rows)

    def erase(self, recording: str) -> int:
        """As `FeedbackStore.erase`."""
        with database_errors():
            return self.store().erase(recording)

    def close(self) -> None:
        """Let go of the connections."""
        if self._store:
            self._store.close()


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


RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": FeedbackOut, "description": "It had been said before; nothing was added."},
    **{status: {"model": Problem} for status in (400, 401, 404, 413, 422, 429, 503)},
}


@FEEDBACK.post(
    "/feedback",
    tags=["feedback"],
    summary="Say what a turn's emotion really was",
    status_code=201,
    responses=RESPONSES,
)
async def feedback(request: Request, response: Response, body: FeedbackIn) -> FeedbackOut:
    """Kept with the answer it corrects. Contradictory entries are all kept; said twice is kept
    once."""
    author = request.scope.get(OWNER, "") or body.author
    correction = Correction(**body.model_dump() | {"author": author})
    state: Any = request.app.state
    try:
        recorded = await asyncio.to_thread(_record, state.feedback, state.log_folder, correction)
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


def _record(database: FeedbackDatabase, log: Any, correction: Correction) -> Recorded:
    return database.record(correction, find_request(log, correction.request_id))
