"""`/v1/live`: a call is listened to while it goes on.

    start ─ sound … sound ─ end          the sender's frames
    ready ─ words ─ turn … ─ job ─ final  the service's

The whole is handed over as a job at the end, so that the final answer is that of `/v1/analyze`.
"""

import asyncio
import contextlib
import json
import logging
import time
from typing import Any, NoReturn

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from components.base import MoodlineError, Stopped, Unavailable, is_disk_full
from components.conversation import Seconds, recording_name
from serving import metrics
from serving.api.job_store import new_id
from serving.api.live_start import LiveError, StartIn, greeted
from serving.engine.options import Options
from serving.engine.scheduling import Sender
from serving.errors import BusyError, NotReadyError, RestartError
from serving.live import Call, Calls, same_speakers

logger = logging.getLogger(__name__)

SILENT_SECONDS: Seconds = 60.0
"""A connection that sends nothing for so long is taken for lost."""

MAX_FRAME = 64_000
"""Bytes of one frame: two seconds."""

POLL_SECONDS: Seconds = 0.5
"""Between two looks at the job of the final answer."""

WRONG_FRAME = (
    f"a frame of sound has whole samples of two bytes, one at least, {MAX_FRAME} bytes at most"
)

GOES_ON = (408, 409)
"""After these a call may go on by another connection."""

APPLICATION_CODES = 4000
"""A connection's close code is this and the HTTP status that would say the same."""

LIVE = APIRouter()

PATH = "/v1/live"


@LIVE.websocket(PATH)
async def live(socket: WebSocket) -> None:
    """One connection; serving/README.md tells what goes through it."""
    await socket.accept()
    try:
        start, sender = await greeted(socket)
        await _Connection(socket, _call(socket, start, sender), start.seen).serve()
        metrics.REQUESTS.labels(PATH, 101).inc()
    except WebSocketDisconnect:
        metrics.REQUESTS.labels(PATH, Stopped.http_status).inc()
    except LiveError as error:
        await _close(socket, error.status, str(error), id=error.id)
    except MoodlineError as error:
        kind = "restart" if isinstance(error, RestartError) else "error"
        await _close(socket, error.http_status, error.answer or str(error), kind)
    except Exception as error:
        if is_disk_full(error):
            logger.error("the disk is full: %s", error)
            await _close(socket, 503, "the server's disk is full; tell its operator")
            return
        logger.exception("a live call failed")
        await _close(socket, 500, "something went wrong here; it has been logged")


async def _close(
    socket: WebSocket, status: int, detail: str, kind: str = "error", id: str = ""
) -> None:
    """Say why, and close the connection."""
    metrics.REQUESTS.labels(PATH, status).inc()
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        known = {"id": id} if id else {}
        await socket.send_json({"type": kind, "status": status, "detail": detail, **known})
        await socket.close(APPLICATION_CODES + status)


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
        except (WebSocketDisconnect, BusyError, Unavailable) as error:
            calls.disconnect(call, line)
            if isinstance(error, WebSocketDisconnect):
                raise
            raise LiveError(
                error.http_status,
                f"{error.answer or error}; the call is kept for a minute",
                call.id,
            ) from error
        except LiveError as error:
            if error.status not in GOES_ON and not line.is_set():
                await calls.drop(call, "failed")
            calls.disconnect(call, line)
            raise
        except BaseException:
            if not line.is_set():
                await calls.drop(call, "failed")
            raise

    async def _serve(self) -> None:
        await self._send(self._ready())
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
        if self._line.is_set():
            await _taken_over(self._line)
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

    async def _send(self, message: dict[str, Any]) -> None:
        """Raises WebSocketDisconnect: the sender has gone."""
        try:
            await self._socket.send_json(message)
        except RuntimeError:  # starlette's, for what is sent after that was found
            raise WebSocketDisconnect(1006) from None

    async def _tell(self) -> NoReturn:
        """Send what is found. Whether the sender has gone, `_listen` finds once it has taken all
        that was sent before."""
        while True:
            for event in await self._call.news(self._seen):
                try:
                    await self._send(event)
                except WebSocketDisconnect:
                    await asyncio.Event().wait()
                self._seen += 1

    async def _listen(self) -> None:
        """Take the sender's frames, until the final answer was sent or the call is forgotten."""
        call = self._call
        while not (call.job or call.full or call.slow or call.ended):
            message = await self._next(SILENT_SECONDS)
            if self._line.is_set():  # what is still on its way here is sent again there
                await _taken_over(self._line)
            if message is None:
                raise LiveError(408, "nothing was sent for a minute; go on with the call's id")
            if (pcm := message.get("bytes")) is not None:
                if not 0 < len(pcm) <= MAX_FRAME or len(pcm) % 2:
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
        """Make a job of the call, once: the connection may be lost meanwhile, and another one then
        waits for the same."""
        call = self._call
        if call.job:
            return
        if call.handing is None or call.handing.done():  # for the first time, or it failed
            call.handing = asyncio.create_task(self._make_job())
        await asyncio.shield(call.handing)

    async def _make_job(self) -> None:
        call, jobs = self._call, self._state.jobs
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
                raise LiveError(422, f"there is no final answer: {job.reason}")
            if job.state == "done" and self._seen >= len(call.events):
                break
            progress = {"type": "progress", "stage": job.stage, "share": job.share}
            await self._send(progress)
            until = time.monotonic() + POLL_SECONDS
            while (left := until - time.monotonic()) > 0:  # frames that still come are of no use
                await self._next(left)
        speakers = same_speakers(call.turns, job.result["turns"])
        final = {"type": "final", "answer": job.result, "speakers": speakers}
        await self._send(final)


def _kind(text: str) -> str:
    try:
        return str(json.loads(text)["type"])
    except (ValueError, TypeError, KeyError):
        return ""


async def _taken_over(line: asyncio.Event) -> NoReturn:
    await line.wait()
    raise LiveError(409, "this call goes on in another connection")
