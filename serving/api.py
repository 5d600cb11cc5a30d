"""The HTTP interface: what goes in, what comes out, and one clear sentence for what is wrong."""

import logging
import re
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from components.conversation import InputError, Turn
from components.conversation.seglst import turn_entry
from serving import metrics
from serving.errors import LateError, NotReadyError
from serving.limits import UploadLimit
from serving.runtime import BusyError, NotAudioError, Runtime, TooLongError

logger = logging.getLogger(__name__)

PAGE = Path(__file__).with_name("page.html")
RETRY_SECONDS = "5"
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "connect-src 'self'; media-src blob:; img-src data:; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class ModelOut(BaseModel):
    """The model version that answered."""

    name: str = "moodline"
    version: str = Field(description="The registry's version number.")


class TurnOut(BaseModel):
    """A speaker turn: a SegLST entry with an emotion."""

    session_id: str
    start_time: float = Field(description="Seconds from the recording's beginning.")
    end_time: float
    speaker: str
    words: str
    emotion: str | None = Field(None, description="angry, happy, neutral or sad: a guess.")
    confidence: float | None = Field(None, description="The probability of that emotion.")
    probabilities: dict[str, float] | None = None
    asr_confidence: float | None = Field(None, description="Mean score of the recognised words.")


class AnalysisOut(BaseModel):
    """A recording's turns."""

    model: ModelOut
    duration: float = Field(description="Of the recording, in seconds.")
    turns: list[TurnOut]


class Problem(BaseModel):
    """What was wrong."""

    detail: str


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem} for status in statuses}


def create_app(max_upload_bytes: int) -> FastAPI:
    """The application; its `state.runtime` is set by the service that mounts it.

    Args:
        max_upload_bytes: the largest request body that is read.
    """
    app = FastAPI(
        title="Moodline",
        summary="Recordings in, speaker turns with emotions out.",
        version="1",
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(UploadLimit, max_bytes=max_upload_bytes)
    app.middleware("http")(_count)
    app.add_exception_handler(RequestValidationError, _explain)
    app.add_exception_handler(StarletteHTTPException, _refuse)
    app.add_exception_handler(Exception, _apologise)

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"), headers=PAGE_HEADERS)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        # BentoML serves these two files itself: nothing is fetched from elsewhere.
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Moodline",
            swagger_js_url="static_content/swagger-ui-bundle.js",
            swagger_css_url="static_content/swagger-ui.css",
            swagger_favicon_url="static_content/favicon-light-32x32.png",
        )

    @app.post(
        "/v1/analyze",
        tags=["recordings"],
        summary="A recording's turns, each with speaker, times, words and emotion",
        responses=_problems(400, 413, 415, 422, 429, 503, 504),
    )
    async def analyze(
        request: Request,
        audio: Annotated[UploadFile, File(description="WAV, FLAC, Ogg, MP3, M4A or WebM.")],
        num_speakers: Annotated[
            int | None, Form(ge=1, le=20, description="How many people speak, if known.")
        ] = None,
        max_pause: Annotated[
            float | None,
            Form(ge=0, le=60, description="Seconds; a longer pause begins a new turn."),
        ] = None,
    ) -> AnalysisOut:
        if not audio.size:
            raise HTTPException(400, "the recording is empty: the field “audio” has no bytes in it")
        runtime: Runtime = request.app.state.runtime
        result = await _answered(
            runtime.analyze(
                audio.file,
                _session(audio.filename),
                num_speakers=num_speakers,
                max_pause=max_pause,
            )
        )
        return AnalysisOut(
            model=ModelOut(version=str(result.version)),
            duration=result.duration,
            turns=[turn_out(turn) for turn in result.turns],
        )

    return app


def turn_out(turn: Turn) -> TurnOut:
    """A turn as the answer gives it."""
    return TurnOut(**turn_entry(turn))


def _session(filename: str | None) -> str:
    """The recording's name, from what the sender calls the file."""
    stem = Path((filename or "").replace("\\", "/")).stem
    return re.sub(r"[^\w.-]+", "_", stem).strip("._")[:100] or "recording"


async def _answered(work: Any) -> Any:
    """The work's result; its known failures as the HTTP status they are."""
    try:
        return await work
    except TooLongError as error:
        raise HTTPException(413, str(error)) from error
    except NotAudioError as error:
        raise HTTPException(415, str(error)) from error
    except InputError as error:
        raise HTTPException(422, str(error)) from error
    except BusyError as error:
        raise HTTPException(429, str(error), {"Retry-After": RETRY_SECONDS}) from error
    except NotReadyError as error:
        detail = f"{error}; try again in a moment"
        raise HTTPException(503, detail, {"Retry-After": RETRY_SECONDS}) from error
    except LateError as error:
        raise HTTPException(504, str(error)) from error


async def _count(request: Request, call_next: Any) -> Any:
    """Count each request by the route it met, never by what the sender made up."""
    began = time.monotonic()
    status = 500
    try:
        response = await call_next(request)
        status = response.status_code
        return response
    finally:
        path = getattr(request.scope.get("route"), "path", "") or "other"
        metrics.REQUESTS.labels(path, status).inc()
        logger.info("%s %d in %.3f s", path, status, time.monotonic() - began)


async def _explain(_: Request, error: Any) -> JSONResponse:
    """The first thing that is wrong with a request's fields, in one sentence."""
    first = error.errors()[0]
    field = str(first["loc"][-1]) if len(first["loc"]) > 1 else "request"
    if field == "audio":
        detail = "send the recording as a file in the multipart field “audio”"
    else:
        detail = f"the field “{field}” is wrong: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return JSONResponse({"detail": detail}, 422)


async def _refuse(_: Request, error: Any) -> JSONResponse:
    return JSONResponse({"detail": str(error.detail)}, error.status_code, error.headers)


async def _apologise(_: Request, error: Exception) -> JSONResponse:
    logger.error("a request failed", exc_info=error)
    return JSONResponse({"detail": "something went wrong here; it has been logged"}, 500)
