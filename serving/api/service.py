"""The BentoML service: `bentoml serve serving.api.service:MoodlineService`.

BentoML runs the workers and answers `/healthz`, `/readyz` and `/metrics`; the application it
mounts answers `/v1/…` and the page. `moodline serve` starts it with a Triton behind it.
"""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType

import bentoml
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from components.base import end_quickly, log_as_json, logs_are_json
from components.config import Settings
from components.traffic import DoubtfulTurns, FeedbackStore, Statements
from serving.api.app import create_app
from serving.api.job_store import JobStore
from serving.api.jobs import Jobs, UploadFolder
from serving.api.overview import Overview
from serving.database import ServiceDatabase
from serving.engine.runtime import Runtime
from serving.errors import NotReadyError
from serving.keys import Keys
from serving.live import Calls
from serving.metrics import forget_dead_workers
from serving.patches import (
    close_half_open_connections,
    turn_off_request_metrics,
    turn_off_request_timeout,
)
from serving.processes import end_with_parent
from serving.settings import ServeSettings
from serving.traces import log_context, start_traces


def _settings() -> Settings:
    """The machine's settings; a Bento's speech models lie beside its code by default."""
    inside = Path(__file__).parents[2] / "models"
    if inside.is_dir() and "MOODLINE_MODELS" not in os.environ:
        return Settings(models=inside)
    return Settings()


SERVE = ServeSettings()
SETTINGS = _settings()
APP = create_app(SETTINGS.max_upload_megabytes * 1_000_000, SERVE.uploads)
SWAGGER = Path(bentoml.__file__).parent / "_internal" / "server" / "static_content"
APP.mount("/static_content", StaticFiles(directory=SWAGGER))

close_half_open_connections()
turn_off_request_metrics()
turn_off_request_timeout()

SWITCH_SECONDS = 0.001
"""How often Python switches between threads. With its own default, five milliseconds, a clip's
answer takes three times as long while a recording is analysed."""


async def every_path(scope: Scope, receive: Receive, send: Send) -> None:
    """The application, for BentoML: to an application that it knows it leaves known paths only,
    and answers and counts the others by itself."""
    await APP(scope, receive, send)


@bentoml.service(
    name="moodline",
    traffic={"timeout": SERVE.timeout},
    workers=SERVE.workers,
    # A request's one line in the log and its one span are those of `serving.api.app.RequestRecord`.
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
@bentoml.asgi_app(every_path, path="/")
class MoodlineService:
    """Recordings in, speaker turns with emotions out."""

    def __init__(self) -> None:
        if logs_are_json():
            log_as_json(context=log_context)  # in place of what BentoML set up
        APP.state.database = self.database = ServiceDatabase(SERVE.store_url(SETTINGS.home))
        APP.state.runtime = self.runtime = Runtime(SETTINGS, SERVE)
        uploads = UploadFolder(SERVE.shared_folder(SETTINGS.home))
        self.jobs = Jobs(JobStore(self.database), uploads, self.runtime, SERVE)
        APP.state.jobs = self.jobs
        self.calls = Calls(self.runtime, SERVE.live, SETTINGS.max_seconds)
        APP.state.calls = self.calls
        APP.state.timeout = SERVE.timeout
        APP.state.hosts = SERVE.host_names
        APP.state.feedback = self.feedback = FeedbackStore(SETTINGS.feedback_url)
        APP.state.statements = self.statements = Statements(SETTINGS.feedback_url)
        APP.state.settings = SETTINGS
        APP.state.overview = Overview(SETTINGS, SERVE, self.statements)
        APP.state.doubtful = self.doubtful = DoubtfulTurns(
            SETTINGS.feedback_url, SETTINGS.log_location
        )
        APP.state.keys = Keys(Path(SERVE.keys)) if SERVE.keys else None

    @bentoml.on_startup
    async def start(self) -> None:
        """Begin to load the speech models, and to do jobs."""
        end_quickly()
        end_with_parent()  # `bentoml serve` gives its workers sessions of their own
        forget_dead_workers()
        sys.setswitchinterval(SWITCH_SECONDS)
        logging.getLogger("serving").setLevel(logging.INFO)  # BentoML shows warnings only
        self.traces = start_traces()
        self.runtime.start()
        self.jobs.start()
        self._give_back_on_sigterm()

    def _give_back_on_sigterm(self) -> None:
        """At SIGTERM give the job to another copy, while this one still finishes its requests."""
        loop, finish = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

        def give_back() -> None:
            self.giving = loop.create_task(self.jobs.stop())

        def end(number: int, frame: FrameType | None) -> None:
            # A second signal comes when nobody waits for this process any more.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            loop.call_soon_threadsafe(give_back)
            if callable(finish):
                finish(number, frame)

        signal.signal(signal.SIGTERM, end)

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Give back the job at hand; release the models and the connections."""
        await self.calls.stop()
        await self.jobs.stop()
        await self.runtime.stop()
        self.database.close()
        self.feedback.close()
        self.statements.close()
        self.doubtful.close()
        if self.traces:
            self.traces.shutdown()

    async def __is_alive__(self) -> bool:
        """False once the speech models failed to load; only a restart can help then."""
        return self.runtime.speech.failure is None

    async def __is_ready__(self) -> bool:
        """Whether a recording sent now would be answered."""
        try:
            self.runtime.classifier.model()
        except NotReadyError as error:
            raise HTTPException(503, str(error)) from error
        return await self.runtime.ready()
