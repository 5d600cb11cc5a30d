"""The service's application in a process of its own, without speech models: `/v1/classify` and
`/v1/feedback` work. `python log_service.py PORT`; settings come from the environment."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from components.config import Settings
from components.traffic import DoubtfulTurns, FeedbackStore, Statements
from serving.api.app import create_app
from serving.api.job_store import JobStore
from serving.api.jobs import Jobs, UploadFolder
from serving.api.overview import Overview
from serving.database import ServiceDatabase
from serving.engine.runtime import Runtime
from serving.keys import Keys
from serving.live import Calls
from serving.settings import ServeSettings


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    settings, serve = Settings(), ServeSettings()
    database = ServiceDatabase(serve.store_url(settings.home))
    app.state.runtime = Runtime(settings, serve)
    uploads = UploadFolder(serve.shared_folder(settings.home))
    app.state.jobs = Jobs(JobStore(database), uploads, app.state.runtime, serve)
    app.state.calls = Calls(app.state.runtime, serve.live, settings.max_seconds)
    app.state.database = database
    app.state.keys = Keys(Path(serve.keys)) if serve.keys else None
    app.state.timeout = 60
    app.state.feedback = FeedbackStore(settings.feedback_url)
    app.state.statements = Statements(settings.feedback_url)
    app.state.settings = settings
    app.state.overview = Overview(settings, serve, app.state.statements)
    app.state.doubtful = DoubtfulTurns(settings.feedback_url, settings.log_location)
    yield
    await app.state.runtime.stop()
    app.state.feedback.close()
    app.state.statements.close()
    app.state.doubtful.close()


if __name__ == "__main__":
    app = create_app(10_000_000, ServeSettings().uploads)
    app.router.lifespan_context = running
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
