"""`/v1/live`: a call is listened to while it goes on.

    start ─ sound … sound ─ end          the sender's frames
    ready ─ words ─ turn … ─ job ─ final  the service's

The whole is handed over as a job at the end, so that the final answer is that of `/v1/analyze`.
"""

import asyncio
import contextlib
import json
import logging
from typing import Annotated, Any, Literal, NoReturn

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.base import MoodlineError, Stopped, Unavailable
from components.config import Pause
from components.conversation import MAX_SPEAKERS, Seconds, recording_name
from serving import metrics
from serving.api.fields import MAX_HINT_LENGTH
from serving.api.job_store import new_id
from serving.api.limits import known_sender
from serving.api.origin import foreign_page
from serving.api.schema import Printable
from serving.engine.options import Options
from serving.engine.scheduling import Sender
from serving.errors import BusyError, NotReadyError, RestartError
from serving.live import Call, Calls, same_speakers

logger = logging.getLogger(__name__)

START_SECONDS: Seconds = 10.0
"""So soon a connection must say what it wants."""

SILENT_SECONDS: Seconds = 60.0
"""A connection that sends nothing for so long is taken for lost."""

MAX_FRAME = 64_000
"""Bytes of one frame: two seconds."""

POLL_SECONDS: Seconds = 0.5
"""Between two looks at the job of the final answer."""

WRONG_FRAME = f"a frame of sound has whole samples, of two bytes each, {MAX_FRAME} bytes at most"

GOES_ON = (408, 409)
"""After these a call may go on by another connection."""

APPLICATION_CODES = 4000
"""A connection's close code is this and the HTTP status that would say the same."""

LIVE = APIRouter()

PATH = "/v1/live"


class StartIn(BaseModel):
    """The first frame."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["start"]
    key: str = Field("", max_length=1000, repr=False)
    name: Printable = Field("", max_length=1000)
    id: str = Field("", max_length=64)
    seen: int = Field(0, ge=0)
    language: Annotated[str, Field(pattern="^(auto|[a-z]{2,3})$")] | None = None
    max_pause: Pause | None = None
    num_speakers: int | None = Field(None, ge=1, le=MAX_SPEAKERS)
    min_speakers: int | None = Field(None, ge=1, le=MAX_SPEAKERS)
    max_speakers: int | None = Field(None, ge=1, le=MAX_SPEAKERS)
    hotwords: Printable = Field("", max_length=MAX_HINT_LENGTH)
    prompt: Printable = Field("", max_length=MAX_HINT_LENGTH)
    words: bool = False
    unaligned: bool = False
    waveform: bool = False


class LiveError(Exception):
    """What a connection is closed for, and the HTTP status that says the same."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@LIVE.websocket(PATH)
async def live(socket: WebSocket) -> None:
    """One connection; serving/README.md tells what goes through it."""
    await socket.accept()
    try:
        start, sender = await _greeted(socket)
        await _Connection(socket, _call(socket, start, sender), start.seen).serve()
        metrics.REQUESTS.labels(PATH, 101).inc()
    except WebSocketDisconnect:
        metrics.REQUESTS.labels(PATH, Stopped.http_status).inc()
    except LiveError as error:
        await _close(socket, error.status, str(error))
    except MoodlineError as error:
        kind = "restart" if isinstance(error, RestartError) else "error"
        await _close(socket, error.http_status, error.answer or str(error), kind)
    except Exception:
        logger.exception("a live call failed")
        await _close(socket, 500, "something went wrong here; it has been logged")


async def _close(socket: WebSocket, status: int, detail: str, kind: str = "error") -> None:
    """Say why, and close the connection."""
    metrics.REQUESTS.labels(PATH, status).inc()
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await socket.send_json({"type": kind, "status": status, "detail": detail})
        await socket.close(APPLICATION_CODES + status)


async def _greeted(socket: WebSocket) -> tuple[StartIn, Sender]:
    """The first frame, and who sent it.

    Raises:
        LiveError: it is none, or from another site's page, or its key is not known.
    """
    try:
        text = await asyncio.wait_for(socket.receive_text(), START_SECONDS)
        start = StartIn.model_validate_json(text)
    except TimeoutError:
        raise LiveError(408, "send a first frame within ten seconds: {“type”: “start”}") from None
    except KeyError:
        raise LiveError(422, "the first frame is text: {“type”: “start”}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "frame"
        raise LiveError(422, f"“{field[:100]}” of the first frame: {first['msg']}") from None
    state, scope = socket.app.state, socket.scope
    if fault := foreign_page(scope, keyed=state.keys is not None):
        raise LiveError(403, fault)
    given = f"Bearer {start.key}" if start.key else socket.headers.get("authorization", "")
    known = await known_sender(state, given)
    if not isinstance(known, Sender):
        raise LiveError(known.status, known.detail)
    return start, known


def _call(socket: WebSocket, start: StartIn, sender: Sender) -> Call:
    """The call that goes on, or a new one."""
    calls: Calls = socket.app.state.calls
    if start.id:
        return calls.find(start.id, sender)
    id = new_id()
    chosen = start.model_dump(exclude={"type", "key", "name", "id", "seen"})
    return calls.begin(
        id, sender, Options(recording_name(start.name or f"live-{id[:8]}"), **chosen)
    )


class _Connection:
    """A call's connection: what comes, and what is told.

    Args:
        seen: how many events the sender has seen.
    """

    def __init__(self, socket: WebSocket, call: Call, seen: int) -> None:
        self._socket, self._call, self._seen = socket, call, seen
        self._state = socket.app.state
        self._calls: Calls = socket.app.state.calls

    async def serve(self) -> None:
        """Until the final answer was sent, the call was given up, or the connection was lost: then
        the call waits for another one.

        Raises:
            WebSocketDisconnect: it was lost.
            MoodlineError: what ended it.
        """
        call, calls = self._call, self._calls
        line = self._line = calls.connect(call)
        try:
            await self._serve()
        except (WebSocketDisconnect, BusyError, Unavailable):
            calls.disconnect(call, line)
            raise
        except LiveError as error:
            if error.status not in GOES_ON:
                await calls.drop(call, "failed")
            calls.disconnect(call, line)
            raise
        except BaseException:
            await calls.drop(call, "failed")
            raise

    async def _serve(self) -> None:
        await self._socket.send_json(self._ready())
        parts = {
            asyncio.create_task(part)
            for part in (self._listen(), self._tell(), _taken_over(self._line))
        }
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
        await self._calls.drop(self._call, "handed_over" if self._call.job else "dropped")
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close()

    def _ready(self) -> dict[str, Any]:
        call = self._call
        ready: dict[str, Any] = {"type": "ready", "id": call.id, "samples": call.sound.samples}
        with contextlib.suppress(NotReadyError):
            model = self._state.runtime.classifier.model()
            ready |= {"version": str(model.version), "labels": list(model.labels)}
        return ready

    async def _tell(self) -> NoReturn:
        """Send what is found. Whether the sender has gone, `_listen` finds once it has taken all
        that was sent before."""
        while True:
            for event in await self._call.news(self._seen):
                try:
                    await self._socket.send_json(event)
                except (WebSocketDisconnect, RuntimeError):
                    await asyncio.Event().wait()
                self._seen += 1

    async def _listen(self) -> None:
        """Take the sender's frames, until the final answer was sent or the call is forgotten."""
        call = self._call
        while not (call.job or call.full or call.ended):
            message = await self._next(SILENT_SECONDS)
            if self._line.is_set():  # what is still on its way here is sent again there
                await _taken_over(self._line)
            if message is None:
                raise LiveError(408, "nothing was sent for a minute; go on with the call's id")
            if (pcm := message.get("bytes")) is not None:
                if len(pcm) > MAX_FRAME or len(pcm) % 2:
                    raise LiveError(422, WRONG_FRAME)
                await call.hear(pcm)
                continue
            kind = _kind(message.get("text") or "")
            if kind == "forget":
                return
            if kind != "end":
                raise LiveError(422, "after “start” send sound, “end” or “forget”")
            break
        await self._hand_over()
        await self._answer()

    async def _next(self, seconds: Seconds) -> dict[str, Any] | None:
        """The next frame; None where none comes for so long.

        Raises:
            WebSocketDisconnect: the sender has gone.
        """
        try:
            message = await asyncio.wait_for(self._socket.receive(), seconds)
        except TimeoutError:
            return None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        return dict(message)

    async def _hand_over(self) -> None:
        """Make a job of the call, unless it is one."""
        call, jobs = self._call, self._state.jobs
        if call.job:
            return
        await call.end()
        if not call.sound.samples:
            raise LiveError(422, "no sound was sent")
        sender, wav = call.sender, call.sound.as_wav()
        job = await jobs.submit(wav, call.asked, sender.name, shares=sender.shares)
        call.job = job.id
        self._calls.give_place_back(call)
        call.sound.close()  # the job has it
        await call.tell("job", job=job.id)

    async def _answer(self) -> None:
        """Send the job's result."""
        call, jobs = self._call, self._state.jobs
        while True:
            job = await jobs.find(call.job, call.sender.name)
            if job is None:
                raise LiveError(404, "the final answer was deleted")
            if job.state == "failed":
                raise LiveError(422, f"there is no final answer: {job.error}")
            if job.state == "done" and self._seen >= len(call.events):
                break
            progress = {"type": "progress", "stage": job.stage, "share": job.share}
            await self._socket.send_json(progress)
            await self._next(POLL_SECONDS)
        speakers = same_speakers(call.turns, job.result["turns"])
        final = {"type": "final", "answer": job.result, "speakers": speakers}
        await self._socket.send_json(final)


def _kind(text: str) -> str:
    try:
        return str(json.loads(text)["type"])
    except (ValueError, TypeError, KeyError):
        return ""


async def _taken_over(line: asyncio.Event) -> NoReturn:
    await line.wait()
    raise LiveError(409, "this call goes on in another connection")
