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
from typing import Any

import bentoml
from bentoml._internal.server.http import traffic

from components.config import Settings
from serving.api.app import create_app
from serving.api.feedback import FeedbackDatabase
from serving.api.job_store import Store
from serving.api.jobs import Jobs, Shelf
from serving.engine.runtime import Runtime
from serving.keys import Keys
from serving.processes import end_with_parent
from serving.settings import ServeSettings
from serving.traces import start_traces


def _settings() -> Settings:
    """The machine's; in a Bento the speech models lie beside the code, unless others are named."""
    inside = Path(__file__).parents[2] / "models"
    if inside.is_dir() and "MOODLINE_MODELS" not in os.environ:
        return Settings(models=inside)
    return Settings()


SERVE = ServeSettings()
SETTINGS = _settings()
APP = create_app(SETTINGS.max_upload_megabytes * 1_000_000, SERVE.uploads)


class Untimed:
    """In place of BentoML's limit: ours ends the work, and its timer is never cancelled, so that
    it held each request's memory for half an hour, answered or not."""

    def __init__(self, app: Any, timeout: float) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on."""
        await self.app(scope, receive, send)


traffic.TimeoutMiddleware = Untimed  # type: ignore  # no setting turns it off

SWITCH = 0.001
"""Seconds after which a thread at Python code lets another go: with Python's own five milliseconds
a clip's answer takes three times as long while a recording is listened to."""


@bentoml.service(
    name="moodline",
    traffic={"timeout": SERVE.timeout},
    workers=SERVE.workers,
    # A request's one line in the log and its one span are those of `serving.api.app.Counted`.
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
@bentoml.asgi_app(APP, path="/")
class MoodlineService:
    """Recordings in, speaker turns with emotions out."""

    def __init__(self) -> None:
        self.store = Store(SERVE.store_url(SETTINGS.home))
        self.runtime = Runtime(SETTINGS, SERVE)
        self.jobs = Jobs(self.store, Shelf(SERVE.shared_folder(SETTINGS.home)), self.runtime, SERVE)
        APP.state.runtime = self.runtime
        APP.state.jobs = self.jobs
        APP.state.store = self.store
        APP.state.timeout = SERVE.timeout
        APP.state.log_folder = SETTINGS.log
        APP.state.feedback = self.feedback = FeedbackDatabase(SETTINGS.feedback_url)
        APP.state.keys = Keys(Path(SERVE.keys)) if SERVE.keys else None

    @bentoml.on_startup
    async def start(self) -> None:
        """Begin to load the speech models, and to do jobs."""
        end_with_parent()  # BentoML gives its workers sessions of their own
        sys.setswitchinterval(SWITCH)
        logging.getLogger("serving").setLevel(logging.INFO)  # BentoML shows warnings only
        self.traces = start_traces()
        self.runtime.start()
        self.jobs.start()
        self._give_back_on_sigterm()

    def _give_back_on_sigterm(self) -> None:
        """While requests under way are still finished, another copy goes on with the job."""
        loop, finish = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

        def give_back() -> None:
            self.giving = loop.create_task(self.jobs.stop())

        def end(number: int, frame: FrameType | None) -> None:
            # A second one comes when nobody waits for us any more.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            loop.call_soon_threadsafe(give_back)
            if callable(finish):
                finish(number, frame)

        signal.signal(signal.SIGTERM, end)

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Give back the job at hand; let go of the models and of the connections."""
        await self.jobs.stop()
        await self.runtime.stop()
        self.store.close()
        self.feedback.close()
        if self.traces:
            self.traces.shutdown()

    async def __is_alive__(self) -> bool:
        """False once the speech models turned out not to load: only a restart can help then."""
        return self.runtime.speech.failure is None

    async def __is_ready__(self) -> bool:
        """Whether a recording sent now would be answered."""
        return await self.runtime.ready()
