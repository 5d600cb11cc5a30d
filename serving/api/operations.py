"""`/v1/operations`: what an operator looks at; for an operator's key, promoting and rolling back.

Both go the way of `moodline registry promote` and `rollback`: the version's gate must have passed,
its files must be signed, and the registry's history names who did it and why.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from components.register import LONGEST_REASON, StageChange, promote, rollback
from serving.api.limits import OPERATOR, OWNER
from serving.api.live_metrics import live_metrics
from serving.api.overview import Overview
from serving.api.schema import Printable, problems
from serving.threads import NUMBERS
from serving.threads import OPERATIONS as OPERATIONS_THREADS

OPERATIONS = APIRouter(prefix="/v1/operations", tags=["operations"])

NO_KEYS = "without API keys nothing can be changed here; use moodline registry on the command line"
NO_ROLE = "this key may look and not change anything; its line needs the role operator"

T = TypeVar("T")


def _said(reason: str) -> str:
    if not reason.strip():
        raise PydanticCustomError("blank", "say why")
    return reason


Reason = Annotated[
    Printable,
    AfterValidator(_said),
    Field(max_length=LONGEST_REASON, description="Why; the registry's history keeps it."),
]
Stage = Literal["staging", "production"]


class PromoteIn(BaseModel):
    """A version that is to be served."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1, description="The registry's number.", examples=[4])
    to: Stage = Field("production", description="Where; staging: a share of the traffic.")
    reason: Reason


class RollbackIn(BaseModel):
    """What is taken back."""

    model_config = ConfigDict(extra="forbid")

    stage: Stage = Field("production", description="Where it is taken from.")
    version: int | None = Field(
        None,
        ge=1,
        description="The one that is to be taken back: if another one is there by now, nothing is"
        " changed (409). Say it, so that a request sent twice does not go back twice.",
        examples=[4],
    )
    reason: Reason


class ChangeOut(BaseModel):
    """A change as the registry's history has it."""

    step: int = Field(description="Its place in the history, from 1.")
    stage: Stage
    version: int | None = Field(description="What is there now; null: nothing.", examples=[4])
    said: str = Field(description="The same in a sentence.")


class OperationsOut(BaseModel):
    """What an operator looks at. A part that cannot be read is `{"fault": "…"}`."""

    may_change: bool = Field(description="Whether this key may promote and roll back.")
    why_not: str = Field(description="In a sentence, where it may not; else empty.")
    served: Any = Field(description="The versions in each role, those refused, a halted canary.")
    registry: Any = Field(description="The versions, production's gate, the history.")
    drift: Any = Field(description="The latest judgement; null: there is none here.")
    retrainings: Any = Field(description="The trigger's latest entries, the newest first.")
    feedback: Any = Field(description="Turns on which people spoke since the newest version.")
    links: dict[str, str] = Field(description="Addresses of MLflow, Kubeflow and Grafana.")


@OPERATIONS.get("", summary="What is served, and why", responses=problems(401, 429, 503))
async def operations(request: Request) -> OperationsOut:
    """Versions, the gate's verdict, history, canary and shadow, drift, retrainings, feedback."""
    overview: Overview = request.app.state.overview
    parts = await OPERATIONS_THREADS.run(overview.read)
    why_not = _why_not(request)
    return OperationsOut(may_change=not why_not, why_not=why_not, **parts)


@OPERATIONS.get("/live", summary="The service's own numbers", responses=problems(401, 429, 503))
async def live(request: Request) -> dict[str, Any]:
    """Of this copy of the service since it was started: the sums that `/metrics` has, in short."""
    return await NUMBERS.run(live_metrics)


def operator(request: Request) -> None:
    """Let nobody else go on.

    Raises:
        HTTPException: 403: the sender's key has not that role, or there are no keys.
    """
    if why_not := _why_not(request):
        raise HTTPException(403, why_not)


CHANGES = problems(400, 401, 403, 409, 413, 422, 429, 503)


@OPERATIONS.post(
    "/promote",
    summary="Put a version into production or staging",
    dependencies=[Depends(operator)],
    responses=CHANGES,
)
async def promote_version(request: Request, body: PromoteIn) -> ChangeOut:
    """Refused (409) unless its gate passed; or where it was inconclusive, and a person says why."""
    about = {"actor": request.scope[OWNER], "reason": body.reason}
    settings = request.app.state.settings
    change = await _changed(request, lambda: promote(body.version, settings, to=body.to, **about))
    return _out(change, f"version {change.to_version} is in {change.stage}")


@OPERATIONS.post(
    "/rollback",
    summary="Put the version before back into production, or empty staging",
    dependencies=[Depends(operator)],
    responses=CHANGES,
)
async def roll_back(request: Request, body: RollbackIn) -> ChangeOut:
    """Doing it again goes back one more, unless the request names the version."""
    about = {"actor": request.scope[OWNER], "reason": body.reason}
    about |= {"stage": body.stage, "version": body.version}
    settings = request.app.state.settings
    change = await _changed(request, lambda: rollback(settings, **about))
    if change.to_version is None:
        return _out(change, f"version {change.from_version} is not in {change.stage} any more")
    return _out(change, f"version {change.to_version} is in {change.stage} again")


async def _changed(request: Request, change: Callable[[], StageChange]) -> StageChange:
    """Change the registry, whatever becomes of the sender meanwhile."""
    try:
        return await OPERATIONS_THREADS.run_through(change)
    finally:
        request.app.state.overview.forget()


def _out(change: StageChange, said: str) -> ChangeOut:
    return ChangeOut(step=change.step, stage=change.stage, version=change.to_version, said=said)


def _why_not(request: Request) -> str:
    if request.app.state.keys is None:
        return NO_KEYS
    return "" if request.scope.get(OPERATOR) else NO_ROLE
