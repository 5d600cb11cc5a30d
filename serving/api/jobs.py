"""Long recordings, analysed in the background; a killed process's jobs are taken up by another.

    POST ─ upload in the folder ─ row in the store ─ claimed by a process ─ result in the row
                                                     (lease, renewed)        upload deleted

The upload of a job is kept until the job has ended, and no longer.
"""

import asyncio
import contextlib
import logging
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO

from components.base import MoodlineError, Stopped
from components.conversation import Seconds
from serving.api.job_store import Job, Store, is_id, new_id
from serving.api.schema import AnalysisOut
from serving.engine.prediction_log import Asked
from serving.engine.runtime import Runtime
from serving.engine.scheduling import Work
from serving.engine.speech import Options
from serving.errors import BusyError
from serving.settings import ServeSettings

logger = logging.getLogger(__name__)

POLL: Seconds = 1.0
"""How often an idle process looks for jobs that others queued or lost."""

SWEEP: Seconds = 60.0
"""How often what has expired is deleted."""

ORPHANED: Seconds = 600.0
"""How old a file is that no row knows, before it is deleted: uploads come before their rows."""


class Shelf:
    """The folder of uploads that copies of the service share.

    Args:
        folder: made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "uploads"

    def path(self, job: str) -> Path:
        """Where a job's upload lies."""
        return self._folder / job

    def put(self, job: str, upload: IO[bytes]) -> None:
        """Copy an upload in."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        upload.seek(0)
        with self.path(job).open("wb") as copy:
            shutil.copyfileobj(upload, copy, 1 << 20)

    def drop(self, job: str) -> None:
        """Delete an upload, if it is there."""
        self.path(job).unlink(missing_ok=True)

    def drop_others(self, needed: set[str]) -> None:
        """Delete what is old and of no job: a process died between a file and its row."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another copy was faster
                if path.name not in needed and path.stat().st_mtime < time.time() - ORPHANED:
                    path.unlink()


class Jobs:
    """Jobs of all copies of the service, one of which may be done here.

    Args:
        store: what copies share.
        shelf: likewise.
        runtime: does the work.
        serve: leases, limits, and how long results are kept.
    """

    def __init__(self, store: Store, shelf: Shelf, runtime: Runtime, serve: ServeSettings) -> None:
        self._store = store
        self._shelf = shelf
        self._runtime = runtime
        self._serve = serve
        self._me = new_id()
        self._under_way: dict[str, Work] = {}
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to do jobs; call it in the event loop."""
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._sweep())]

    async def stop(self) -> None:
        """Give back the job that is being done here."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def submit(self, upload: IO[bytes], options: Options, owner: str) -> Job:
        """Queue a recording.

        Raises:
            BusyError: too many jobs are unfinished.
        """
        job, most = new_id(), self._serve.jobs_waiting
        full = BusyError("too many jobs are waiting; try again later")
        if len(await asyncio.to_thread(self._store.unfinished)) >= most:
            raise full
        try:
            await asyncio.to_thread(self._shelf.put, job, upload)
            row = (job, owner, options.session_id, asdict(options))
            if not await asyncio.to_thread(self._store.add_job, *row, most=most):
                raise full
        except BaseException:
            self._shelf.drop(job)
            raise
        self._news.set()
        found = await self.find(job, owner)
        assert found is not None
        return found

    async def find(self, job: str, owner: str) -> Job | None:
        """A job of that owner, if there is one."""
        if not is_id(job):
            return None
        return await asyncio.to_thread(self._store.job, job, owner)

    async def delete(self, job: str, owner: str) -> bool:
        """Forget a job with its upload and its result; stop it if it is being done."""
        if not is_id(job) or not await asyncio.to_thread(self._store.delete_job, job, owner):
            return False
        self._forget(job)
        return True

    async def erase(self, recording: str, owner: str) -> int:
        """Forget all jobs about a recording of that owner; how many there were."""
        jobs = await asyncio.to_thread(self._store.erase, owner, recording)
        for job in jobs:
            self._forget(job)
        return len(jobs)

    def _forget(self, job: str) -> None:
        self._shelf.drop(job)
        if job in self._under_way:
            self._under_way[job].stop()

    async def _run(self) -> None:
        while True:
            job = None
            try:
                if self._runtime.speech.loaded():
                    job = await asyncio.to_thread(
                        self._store.claim, self._me, self._serve.job_lease
                    )
                if job is not None:
                    await self._do(job)
            except Exception:
                logger.exception("jobs cannot be done now")
            if job is None:
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), POLL)

    async def _do(self, job: Job) -> None:
        work = self._under_way[job.id] = Work()
        beat = asyncio.create_task(self._beat(job, work))
        path = self._shelf.path(job.id)
        asked = Asked(job.id, "/v1/jobs", job.owner)
        try:
            options = Options(**job.options)
            with path.open("rb") as upload:
                result = await self._runtime.analyze(upload, options, work, asked, patient=True)
            answer = AnalysisOut.of(result, words=options.words)
            told = answer.model_dump(mode="json", exclude_none=True)
            ended = await asyncio.to_thread(self._store.finish, job.id, self._me, told)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.to_thread(self._store.give_back, job.id, self._me))
            raise
        except Stopped:
            logger.info("a job was deleted, or went to another process")
            return
        except Exception as error:
            if isinstance(error, MoodlineError):
                reason = error.answer or str(error)
            else:
                logger.exception("a job failed")
                reason = "something went wrong here; it has been logged"
            ended = await asyncio.to_thread(self._store.fail, job.id, self._me, reason)
        finally:
            beat.cancel()
            del self._under_way[job.id]
        if ended:  # else it is another's by now, who needs the upload
            self._shelf.drop(job.id)

    async def _beat(self, job: Job, work: Work) -> None:
        """Give signs of life, and hear whether the job is still wanted of us."""
        lease = self._serve.job_lease
        while True:
            await asyncio.sleep(min(lease / 3, 1.0))
            try:
                ours = await asyncio.to_thread(
                    self._store.renew, job.id, self._me, lease, work.stage, work.share
                )
            except Exception:
                logger.exception("the store does not answer; the job goes on while its lease lasts")
                continue
            if not ours:
                work.stop()
                return

    async def _sweep(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._store.expire, self._serve.job_hours * 3600)
                needed = await asyncio.to_thread(self._store.unfinished)
                await asyncio.to_thread(self._shelf.drop_others, needed)
            except Exception:
                logger.exception("what has expired cannot be deleted now")
            await asyncio.sleep(SWEEP)
