"""The endpoints under `/v1`."""

import time
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response, UploadFile

from components.conversation import Layout, Seconds, recording_name
from serving import metrics
from serving.api.accept import TurnsFormat, choose_format, is_json, turns_text
from serving.api.cancellation import run_while_wanted
from serving.api.deadlines import work_of
from serving.api.fields import (
    Accept,
    Audio,
    Channels,
    Clips,
    Deadline,
    Format,
    Hotwords,
    Language,
    LineLength,
    MaxLines,
    MaxPause,
    MaxSpeakers,
    MinSpeakers,
    NumSpeakers,
    Prompt,
    Texts,
    Unaligned,
    Waveform,
    Words,
)
from serving.api.jobs import Jobs
from serving.api.limits import OWNER, sender_of
from serving.api.samples import samples_of
from serving.api.schema import (
    SCHEMAS,
    AnalysisOut,
    ClassifiedOut,
    ClipOut,
    ErasedOut,
    JobOut,
    ModelInfoOut,
    ModelOut,
    Printable,
    TurnOut,
    analysis_out,
    problems,
)
from serving.api.speakers import Kept, kept_speakers
from serving.engine.options import Options
from serving.engine.prediction_log import RequestInfo
from serving.engine.runtime import Runtime

REQUEST = "moodline.request"
"""The scope's key for the request's id."""

CORRELATION = "moodline.correlation"
"""The scope's key for the id that the sender gave the request; empty where it gave none."""

SHORTEST_RECORDING: Seconds = 10.0
"""As which a shorter one counts, where the time to an answer is held against its length."""

ROUTES = APIRouter(prefix="/v1")

EXAMPLE_RTTM = "SPEAKER call 1 12.480000 3.420000 <NA> <NA> SPEAKER_00 <NA> <NA>\n"
EXAMPLE_VTT = (
    "WEBVTT\n\n00:00:12.480 --> 00:00:15.900\n<v SPEAKER_00>[happy] That is wonderful news.\n"
)
EXAMPLE_SRT = "1\n00:00:12,480 --> 00:00:15,900\nSPEAKER_00: [happy] That is wonderful news.\n"
TURNS_AS_TEXT: dict[str, Any] = {
    TurnsFormat.rttm: {"schema": {"type": "string"}, "example": EXAMPLE_RTTM},
    TurnsFormat.vtt: {"schema": {"type": "string"}, "example": EXAMPLE_VTT},
    TurnsFormat.srt: {"schema": {"type": "string"}, "example": EXAMPLE_SRT},
}

ALIGN_BODY = {"application/json": {"schema": {"$ref": SCHEMAS.format(model="AlignIn")}}}
"""The endpoint reads its body itself, and `serving.api.app` describes its type."""

BODY_PROBLEMS = (400, 401, 413, 422, 429, 503)
JOB_PROBLEMS = (401, 404, 429, 503)


@ROUTES.post(
    "/analyze",
    tags=["recordings"],
    summary="A recording's turns, each with speaker, times, words and emotion",
    response_model=AnalysisOut,
    response_model_exclude_none=True,
    responses=problems(*BODY_PROBLEMS, 403, 406, 415, 504) | {200: {"content": TURNS_AS_TEXT}},
)
async def analyze(
    request: Request,
    audio: Audio,
    num_speakers: NumSpeakers = None,
    min_speakers: MinSpeakers = None,
    max_speakers: MaxSpeakers = None,
    max_pause: MaxPause = None,
    words: Words = False,
    unaligned: Unaligned = False,
    waveform: Waveform = False,
    language: Language = None,
    channels: Channels = False,
    hotwords: Hotwords = "",
    prompt: Prompt = "",
    speakers: Kept = "",
    format: Format = None,
    line_length: LineLength = 42,
    max_lines: MaxLines = 2,
    x_deadline_seconds: Deadline = None,
    accept_header: Accept = None,
) -> Any:
    """Answers when it is done; for long recordings rather use `/v1/jobs`."""
    chosen = choose_format(accept_header, format)
    samples = await samples_of(request)
    options = _options(
        request, audio, known=tuple(samples), kept=await kept_speakers(request, speakers),
        num_speakers=num_speakers, min_speakers=min_speakers, max_speakers=max_speakers,
        max_pause=max_pause, words=words, language=language, channels=channels,
        hotwords=hotwords, prompt=prompt, unaligned=unaligned, waveform=waveform,
    )  # fmt: skip
    work = work_of(request, x_deadline_seconds)
    began = time.monotonic()
    analysis = _runtime(request).analyze(
        audio.file, options, work, _request_info(request), samples=samples
    )
    result = await run_while_wanted(request, work, analysis)
    if not samples:  # they are listened to as well, and are no part of the length
        length = max(result.analysis.duration, SHORTEST_RECORDING)
        metrics.ANALYZE_TIME_RATIO.observe((time.monotonic() - began) / length)
    if chosen is not TurnsFormat.json:
        layout = Layout(line_length, max_lines)
        text = turns_text(chosen, options.session_id, result.analysis.turns, layout)
        return Response(text, media_type=chosen.value)
    return analysis_out(result, words, request.scope[REQUEST])


@ROUTES.post(
    "/classify",
    tags=["turns"],
    summary="The emotions of turns that are cut already",
    response_model_exclude_none=True,
    responses=problems(*BODY_PROBLEMS, 415, 504),
)
async def classify(
    request: Request,
    audio: Clips,
    text: Texts,
    x_deadline_seconds: Deadline = None,
) -> ClassifiedOut:
    """One or many, each a file `audio` and a field `text`:

    `curl -F audio=@1.wav -F text='hello' -F audio=@2.wav -F text='who is it' …/v1/classify`
    """
    work = work_of(request, x_deadline_seconds)
    runtime = _runtime(request)
    files = [upload.file for upload in audio]
    classification = runtime.classify(files, text, work, _request_info(request))
    answer, turns, notes = await run_while_wanted(request, work, classification)
    clips = [ClipOut.model_validate(turn) for turn in turns]
    model = ModelOut(version=str(answer.version), labels=list(answer.labels))
    name = request.scope[REQUEST]
    return ClassifiedOut(request_id=name, model=model, clips=clips, notes=notes or None)


@ROUTES.post(
    "/align",
    tags=["turns"],
    summary="Words and speaker segments become turns",
    response_model=list[TurnOut],
    response_model_exclude_none=True,
    responses=problems(*BODY_PROBLEMS, 406, 504) | {200: {"content": TURNS_AS_TEXT}},
    openapi_extra={"requestBody": {"content": ALIGN_BODY, "required": True}},
)
async def align_words(
    request: Request, x_deadline_seconds: Deadline = None, accept_header: Accept = None
) -> Any:
    """Anyone's transcript (WhisperX's JSON) and anyone's speakers (segments, or RTTM) → SegLST.

    No audio and no model is needed; every word that goes in is in exactly one turn.
    """
    chosen = choose_format(accept_header)
    if not is_json(request.headers.get("content-type", "")):
        raise HTTPException(422, "send JSON, and say so: “Content-Type: application/json”")
    work = work_of(request, x_deadline_seconds)
    answer = request.app.state.alignment.answer(await request.body(), chosen, work)
    text = await run_while_wanted(request, work, answer)
    return Response(text, media_type=chosen.value)


@ROUTES.get(
    "/model",
    tags=["service"],
    summary="The model version that answers",
    responses=problems(401, 429, 503),
)
async def model(request: Request) -> ModelInfoOut:
    """Its version, its labels, the alias it is served by, its digest, and its gate's verdict."""
    served = _runtime(request).classifier.model()
    return ModelInfoOut(
        version=str(served.version),
        labels=list(served.labels),
        alias="production",
        digest=served.digest,
        verdict=served.verdict,
    )


@ROUTES.post(
    "/jobs",
    tags=["jobs"],
    summary="Analyse a recording in the background",
    status_code=202,
    response_model=JobOut,
    response_model_exclude_none=True,
    responses=problems(*BODY_PROBLEMS, 403, 409),
)
async def create_job(
    request: Request,
    response: Response,
    audio: Audio,
    num_speakers: NumSpeakers = None,
    min_speakers: MinSpeakers = None,
    max_speakers: MaxSpeakers = None,
    max_pause: MaxPause = None,
    words: Words = False,
    unaligned: Unaligned = False,
    waveform: Waveform = False,
    language: Language = None,
    channels: Channels = False,
    hotwords: Hotwords = "",
    prompt: Prompt = "",
    speakers: Kept = "",
) -> Any:
    """For long recordings. The upload is kept until the job has ended, and no longer; a job goes
    on when the service is started anew."""
    samples = await samples_of(request)
    options = _options(
        request, audio, known=tuple(samples), kept=await kept_speakers(request, speakers),
        num_speakers=num_speakers, min_speakers=min_speakers, max_speakers=max_speakers,
        max_pause=max_pause, words=words, language=language, channels=channels,
        hotwords=hotwords, prompt=prompt, unaligned=unaligned, waveform=waveform,
    )  # fmt: skip
    sender = sender_of(request.scope)
    job = await _jobs(request).submit(
        audio.file, options, sender.name, samples=samples, shares=sender.shares
    )
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return JobOut.model_validate(job)


@ROUTES.get(
    "/jobs/{id}",
    tags=["jobs"],
    summary="How far a job is, and what came out",
    response_model=JobOut,
    response_model_exclude_none=True,
    responses=problems(*JOB_PROBLEMS),
)
async def job(request: Request, id: str) -> Any:
    """Ask again until `state` is `done` or `failed`. Results are kept for a day by default."""
    stored = await _jobs(request).find(id, _owner(request))
    if stored is None:
        raise HTTPException(404, "there is no such job; results are not kept forever")
    return JobOut.model_validate(stored)


@ROUTES.delete(
    "/jobs/{id}",
    tags=["jobs"],
    summary="Stop a job, and delete its upload and its result",
    status_code=204,
    responses=problems(*JOB_PROBLEMS),
)
async def delete_job(request: Request, id: str) -> None:
    """Work on it ends at its next step."""
    if not await _jobs(request).delete(id, _owner(request)):
        raise HTTPException(404, "there is no such job")


@ROUTES.delete(
    "/recordings/{name:path}",  # a file's name may bring its folders
    tags=["recordings"],
    summary="Delete all that is kept of a recording",
    responses=problems(*JOB_PROBLEMS, 422),
)
async def erase(request: Request, name: Printable) -> ErasedOut:
    """The name is the turns' `session_id`, or that of the file that was sent. What is under way
    of it is erased, too."""
    calls = request.app.state.calls
    ended = await calls.erase(name, _owner(request)) if calls else 0
    erased = await _jobs(request).erase(name, _owner(request))
    if not (erased or ended):
        raise HTTPException(404, "nothing is kept of a recording of that name")
    counts = erased.counts()
    counts["under_way"] += ended
    return ErasedOut(recording=name, **counts)


def _runtime(request: Request) -> Runtime:
    return request.app.state.runtime


def _jobs(request: Request) -> Jobs:
    return request.app.state.jobs


def _owner(request: Request) -> str:
    return request.scope.get(OWNER, "")


def _request_info(request: Request) -> RequestInfo:
    scope = request.scope
    return RequestInfo(scope[REQUEST], scope["route"].path, _owner(request), scope[CORRELATION])


def _options(request: Request, audio: UploadFile, **asked: Any) -> Options:
    """The caller's options, as far as one can tell they can be followed.

    Raises:
        HTTPException: the recording is empty.
        InputError: they contradict each other, or the models cannot do what they ask.
    """
    if not audio.size:
        raise HTTPException(400, "the recording is empty: the field “audio” has no bytes in it")
    options = Options(recording_name(audio.filename or ""), **asked)
    _runtime(request).speech.check_options(options)
    return options
