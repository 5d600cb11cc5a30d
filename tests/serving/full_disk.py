"""Send recordings to a service whose disk is full, then again with room; run on a small disk."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import httpx

from components.config import Settings
from serving.api.app import create_app
from serving.api.job_store import JobStore
from serving.api.jobs import Jobs, UploadFolder
from serving.database import ServiceDatabase
from serving.engine.runtime import Runtime
from serving.settings import ServeSettings
from tests.small_disk import fill

LARGE = {"audio": ("a.wav", bytes(3_000_000))}


async def send(jobs: Jobs, runtime: Runtime) -> tuple[int, str]:
    """Ask for a job; the answer's status and what it says."""
    app = create_app(10_000_000, 1)
    app.state.jobs, app.state.runtime = jobs, runtime
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.post("/v1/jobs", files=LARGE)
    return answer.status_code, answer.json().get("detail", "")


async def main(disk: Path, state: Path) -> None:
    store = JobStore(ServiceDatabase(f"sqlite:///{state}/jobs.db"))
    runtime = Runtime(Settings(home=state), ServeSettings())  # not started: no models
    jobs = Jobs(store, UploadFolder(disk), runtime, ServeSettings())
    seen = {}
    filled = fill(disk)
    tempfile.tempdir = str(disk)
    seen["received"] = await send(jobs, runtime)
    tempfile.tempdir = str(state)
    seen["kept"] = await send(jobs, runtime)
    left = [path.name for path in disk.rglob("*") if path.is_file() and path != filled]
    filled.unlink()
    seen["with room"] = await send(jobs, runtime)
    print(json.dumps({"seen": seen, "left": left, "jobs": len(store.unfinished())}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
