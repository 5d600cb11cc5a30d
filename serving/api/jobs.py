"""Long recordings, analysed in the background; a killed process's jobs are taken up by another.

    POST ─ row in the store ─ upload in the folder ─ claimed by a process ─ result in the row
                                                     (lease, renewed)        upload deleted

The upload of a job is kept until the job has ended, and no longer.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import IO

from components.base import MoodlineError, Stopped, Unavailable
from components.conversation import Seconds
from serving import metrics
from serving.api.erasure import Erased, erase_recording
from serving.api.job_store import Job, JobStore, is_id, new_id
from serving.api.samples import bundled, unbundled
from serving.api.schema import analysis_out
from serving.api.uploads import UploadFolder
from serving.engine.options import Options
from serving.engine.prediction_log import RequestInfo
from serving.engine.runtime import Runtime
from serving.engine.scheduling import Work
from serving.errors import BusyError, ErasedError
from serving.settings import ServeSettings
from serving.threads import ERASURE, LEASES, STORE, UPLOADS, through

logger = logging.getLogger(__name__)

POLL_SECONDS: Seconds = 1.0
"""How often an idle process looks for jobs that others queued or lost."""

SWEEP_SECONDS: Seconds = 60.0
"""How often expired jobs and orphaned uploads are deleted, and how long jobs wait is looked at."""


class Jobs:
    """The jobs of all copies of the service; this process works on one at a time.

    The copies share `store` and `uploads`. `serve` has the limits, and how long results are kept.
    """

    def __init__(
        self, store: JobStore, uploads: UploadFolder, runtime: Runtime, serve: ServeSettings
    ) -> None:
        self._store = store
        self._uploads = uploads
        self._runtime = runtime
        self._serve = serve
        self._process = new_id()
        self._under_way: dict[str, Work] = {}
        self._queued = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to do jobs; call it in the event loop."""
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._sweep())]

    async def stop(self) -> None:
        """Give back the job that this process works on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def submit(
        self,
        upload: IO[bytes],
        options: Options,
        owner: str,
        *,
        samples: Mapping[str, IO[bytes]] | None = None,
        shares: bool = False,
    ) -> Job:
        """Queue a recording; where its owner shares the service with others, if they leave room.

        Raises:
            BusyError: too many jobs are unfinished.
            ErasedError: the recording was erased while its upload was stored.
        """
        id, limit = new_id(), self._serve.jobs_waiting
        row = (id, owner, options.session_id, asdict(options), limit, shares)
        try:
            if not await STORE.run_through(self._store.add_job, *row):
                raise BusyError("too many jobs are waiting; try again later")
            await UPLOADS.run_through(self._put, id, upload, samples or {})
            job = await STORE.run_through(self._store.queue, id)
        except BaseException:
            with contextlib.suppress(MoodlineError):
                await UPLOADS.run_through(self._uploads.delete, id)
            with contextlib.suppress(MoodlineError):
                await STORE.run(self._store.delete_job, id, owner)
            raise
        if job is None:
            await self._delete_upload(id)
            raise ErasedError(
                "the recording was erased while it was being sent; send it again to keep it"
            )
        self._queued.set()
        return job

    def _put(self, id: str, upload: IO[bytes], samples: Mapping[str, IO[bytes]]) -> None:
        self._uploads.put(id, bundled(upload, samples))

    async def find(self, job: str, owner: str) -> Job | None:
        """A job of that owner, if there is one."""
        if not is_id(job):
            return None
        return await STORE.run(self._store.job, job, owner)

    async def delete(self, job: str, owner: str) -> bool:
        """Forget a job with its upload and its result; stop it if this process works on it."""
        if not is_id(job) or not await STORE.run(self._store.delete_job, job, owner):
            return False
        await self._forget(job)
        return True

    async def erase(self, name: str, owner: str) -> Erased:
        """Erase all that is kept of a recording of that owner, and what is under way of it.

        Raises:
            Unavailable: a database does not answer; ask again, until all is erased.
        """
        stores = (self._runtime.turns, self._store, self._uploads, self._runtime.copies)
        erased = await ERASURE.run(erase_recording, name, owner, *stores)
        for job in erased.jobs:
            await self._forget(job)
        return erased

    async def _forget(self, job: str) -> None:
        if job in self._under_way:
            self._under_way[job].stop()
        await self._delete_upload(job)

    async def _delete_upload(self, job: str) -> None:
        """Delete an upload that no row names any more; one that cannot be, the sweep deletes."""
        try:
            await UPLOADS.run(self._uploads.delete, job)
        except MoodlineError as error:
            logger.warning("an upload is deleted later: %s", error)

    async def _run(self) -> None:
        while True:
            job = None
            try:
                if self._runtime.speech.loaded():
                    lease = self._serve.job_lease
                    job = await LEASES.run(self._store.claim, self._process, lease)
                if job is not None:
                    await self._do(job)
            except MoodlineError as error:
                job = None
                logger.warning("jobs cannot be done now: %s", error)
            except Exception:
                logger.exception("jobs cannot be done now")
            if job is None:
                self._queued.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._queued.wait(), POLL_SECONDS)

    async def _do(self, job: Job) -> None:
        try:
            upload = await UPLOADS.run(self._uploads.open, job.id)
        except (Unavailable, asyncio.CancelledError):  # that says nothing about the recording
            await asyncio.shield(LEASES.run(self._store.give_back, job.id, self._process))
            raise
        except FileNotFoundError:
            reason = "its upload is gone; send the recording again"
            await LEASES.run(self._store.fail, job.id, self._process, reason)
            return
        with upload:
            await self._work_on(job, upload)

    async def _work_on(self, job: Job, upload: IO[bytes]) -> None:
        work = self._under_way[job.id] = Work()
        lease = asyncio.create_task(self._keep_lease(job, work))
        request_info = RequestInfo(job.id, "/v1/jobs", job.owner)
        try:
            how: Callable[[], bool]
            try:
                options = Options(**job.options)
                recording, samples = await UPLOADS.run(unbundled, upload, options.known)
                result = await self._runtime.analyze(
                    recording, options, work, request_info, samples=samples, background=True,
                    is_wanted=partial(self._renew, job, work),
                )  # fmt: skip
                answer = analysis_out(result, options.words, job.id)
                body = answer.model_dump(mode="json", exclude_none=True)
                how = partial(self._store.finish, job.id, self._process, body)
            except asyncio.CancelledError:
                await asyncio.shield(LEASES.run(self._store.give_back, job.id, self._process))
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
                how = partial(self._store.fail, job.id, self._process, reason)
            await through(self._end(job, how))
        finally:
            lease.cancel()
            del self._under_way[job.id]

    async def _end(self, job: Job, how: Callable[[], bool]) -> None:
        """Write how it ended; the upload goes, unless another process has the job by now."""
        if await LEASES.run(how):
            await self._delete_upload(job.id)

    async def _renew(self, job: Job, work: Work) -> bool:
        """Renew the lease; False once the job was deleted or another process has it."""
        progress = (self._serve.job_lease, work.stage, work.share)
        return await LEASES.run(self._store.renew, job.id, self._process, *progress)

    async def _keep_lease(self, job: Job, work: Work) -> None:
        """Renew the lease; stop the work once the job was deleted or another process has it."""
        lease = self._serve.job_lease
        while True:
            await asyncio.sleep(min(lease / 3, 1.0))
            try:
                renewed = await self._renew(job, work)
            except Exception:
                logger.exception("the store does not answer; the job goes on while its lease lasts")
                continue
            if not renewed:
                work.stop()
                return

    async def _sweep(self) -> None:
        while True:
            try:
                metrics.OLDEST_JOB.set(await LEASES.run(self._store.longest_wait))
                await LEASES.run(self._store.expire, self._serve.job_hours * 3600)
                needed = await LEASES.run(self._store.unfinished)
                await LEASES.run(self._uploads.delete_orphans, needed)
            except Exception:
                logger.exception("what has expired cannot be deleted now")
            await asyncio.sleep(SWEEP_SECONDS)
