"""Send recordings to a service whose disk is full, then again with room; run on a small disk."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import httpx

from serving.api.app import create_app
from serving.api.job_store import JobStore
from serving.api.jobs import Jobs, UploadFolder
from serving.database import ServiceDatabase
from serving.settings import ServeSettings
from tests.small_disk import fill

LARGE = {"audio": ("a.wav", bytes(3_000_000))}


async def send(jobs: Jobs) -> tuple[int, str]:
    """Ask for a job; the answer's status and what it says."""
    app = create_app(10_000_000, 1)
    app.state.jobs = jobs
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.post("/v1/jobs", files=LARGE)
    return answer.status_code, answer.json().get("detail", "")


async def main(disk: Path, state: Path) -> None:
    store = JobStore(ServiceDatabase(f"sqlite:///{state}/jobs.db"))
    jobs = Jobs(store, UploadFolder(disk), None, ServeSettings())  # type: ignore[arg-type]  # never starts
    seen = {}
    filled = fill(disk)
    tempfile.tempdir = str(disk)
    seen["received"] = await send(jobs)
    tempfile.tempdir = str(state)
    seen["kept"] = await send(jobs)
    left = [path.name for path in disk.rglob("*") if path.is_file() and path != filled]
    filled.unlink()
    seen["with room"] = await send(jobs)
    print(json.dumps({"seen": seen, "left": left, "jobs": len(store.unfinished())}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
