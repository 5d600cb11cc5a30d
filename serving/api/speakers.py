"""`/v1/speakers`: voice prints that are kept, and requests that ask for them by name.

They are biometric data: `serving.voices` says when they are kept. What a request does not name is
compared with nothing.
"""

import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from components.diarize import NAME, check_name
from serving.api.cancellation import run_while_wanted
from serving.api.deadlines import work_of
from serving.api.fields import Deadline
from serving.api.limits import OWNER
from serving.api.samples import MAX_SAMPLES
from serving.api.schema import problems
from serving.engine.runtime import Runtime
from serving.threads import STORE

SPEAKERS = APIRouter(prefix="/v1", tags=["speakers"])

CONSENT = (
    "send consent=true, which says that this person agreed to be recognised by the voice and that"
    " the voice print is kept (it is biometric data); nothing was stored"
)

Name = Annotated[str, Form(max_length=200, description="Whose voice it is, in one word.")]
Sample = Annotated[
    UploadFile,
    File(description="3 s of speech or more, 120 s at most, nobody else in it; it is not kept."),
]
Consent = Annotated[
    bool,
    Form(description="That this person agreed to it. Without `true` nothing is stored: 400."),
]
Kept = Annotated[
    str,
    Form(
        max_length=2_000,
        description="Names of speakers whose voice prints are kept (`/v1/speakers`), separated by"
        " commas: those are known by the voice, if they speak.",
    ),
]


class SpeakerOut(BaseModel):
    """That a voice print is kept. The print itself is never given."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["Ann"])
    created: datetime = Field(
        description="When it was enrolled last.", examples=["2026-11-30T12:00:00Z"]
    )
    expires: datetime = Field(
        description="When it will be deleted, unless it is enrolled again.",
        examples=["2027-05-29T12:00:00Z"],
    )


class SpeakersOut(BaseModel):
    """The voice prints of a key."""

    speakers: list[SpeakerOut]


REPLACED = {"model": SpeakerOut, "description": "It is in the place of the one of that name."}
PROBLEMS = (401, 429, 503)


@SPEAKERS.post(
    "/speakers",
    summary="Keep a voice print of somebody who agreed to it",
    status_code=201,
    response_model=SpeakerOut,
    responses={200: REPLACED, **problems(*PROBLEMS, 400, 403, 409, 413, 415, 422, 504)},
)
async def enrol(
    request: Request,
    response: Response,
    name: Name,
    sample: Sample,
    consent: Consent = False,
    x_deadline_seconds: Deadline = None,
) -> Any:
    """A voice print is biometric data (GDPR, Article 9). It is kept for your API key alone, until
    you erase it or it expires, and compared only with recordings whose request names it
    (`speakers=Ann`). The operator has to allow it; else 403."""
    runtime, owner = _runtime(request), _owner(request)
    runtime.voices.check_on()
    if not consent:
        raise HTTPException(400, CONSENT)
    check_name(name)
    if not sample.size:
        raise HTTPException(400, f"the sample of {name} is empty")
    await STORE.run(runtime.voices.check_room, owner, name)
    work = work_of(request, x_deadline_seconds)
    hearing = runtime.speech.voice_print(sample.file, name, work)
    voice = await run_while_wanted(request, work, hearing)
    kept, is_new = await STORE.run(runtime.voices.keep, owner, name, voice)
    if not is_new:
        response.status_code = 200
    return SpeakerOut.model_validate(kept)


@SPEAKERS.get(
    "/speakers",
    summary="Whose voice prints are kept, and until when",
    responses=problems(*PROBLEMS),
)
async def speakers(request: Request) -> SpeakersOut:
    """Those of your API key, by name."""
    kept = await STORE.run(_runtime(request).voices.of, _owner(request))
    return SpeakersOut(speakers=[SpeakerOut.model_validate(one) for one in kept])


@SPEAKERS.delete(
    "/speakers/{name}",
    summary="Erase a voice print",
    status_code=204,
    responses=problems(*PROBLEMS, 404),
)
async def erase_speaker(request: Request, name: str) -> None:
    """Recordings that have not had their turn do not use it any more. Answers that name the speaker
    stay: erase these by their recording."""
    voices, is_name = _runtime(request).voices, re.fullmatch(NAME, name) is not None
    if not is_name or not await STORE.run(voices.erase, _owner(request), name):
        raise HTTPException(404, "no voice print of that name is kept")


async def kept_speakers(request: Request, asked: str) -> tuple[str, ...]:
    """The speakers whose voice prints a request asks for, once it is clear that they can be used.

    Raises:
        InputError: a name cannot be one, or no voice print of it is kept, or it was made by
            another model than the one that is used now.
        VoicesOffError: the operator has not allowed it.
        HTTPException: there are too many.
    """
    names = tuple(name.strip() for name in asked.split(",") if name.strip())
    if not names:
        return ()
    runtime = _runtime(request)
    runtime.voices.check_on()
    if len(names) > MAX_SAMPLES:
        raise HTTPException(422, f"{len(names)} speakers are named; name {MAX_SAMPLES} at most")
    for name in names:
        check_name(name)
    found = await STORE.run(runtime.voices.find, _owner(request), names)
    if model := runtime.speech.voice_model:
        for name, voice in found.items():
            voice.heard_by(model, name)
    return names


def _runtime(request: Request) -> Runtime:
    return request.app.state.runtime


def _owner(request: Request) -> str:
    return request.scope.get(OWNER, "")
