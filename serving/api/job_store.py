"""The jobs that copies of the service share, in one database; their uploads lie in a folder.

A process owns a job while its lease lasts. A process that gives no signs of life loses the job, and
another process takes it up again.
"""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Float,
    Integer,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from serving.api.database import METADATA, ServiceDatabase

ATTEMPTS = 3
"""How often a job may take its process down with it before it is given up."""

GIVEN_UP = "the service ended three times while it worked on this recording"

JOBS = Table(
    "moodline_jobs",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("owner", String(100), nullable=False, index=True),
    Column("recording", String(100), nullable=False),
    Column("options", Text, nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("stage", String(20), nullable=False, default=""),
    Column("share", Float, nullable=False, default=0.0),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("leased_by", String(32)),
    Column("leased_until", Float, nullable=False, default=0.0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("result", Text),
    Column("reason", Text),
)


@dataclass(frozen=True, slots=True)
class Job:
    """A recording that is analysed in the background.

    Attributes:
        owner: the name of the API key that sent it; empty where there are no keys.
        recording: its name.
        options: the caller's, as JSON holds them.
        state: queued, running, done or failed.
        stage: the current one, while running.
        share: of that stage that is done, 0 to 1.
        created: seconds since 1970.
        updated: likewise.
        result: the answer, once done.
        reason: in one sentence, once failed.
    """

    id: str
    owner: str
    recording: str
    options: Mapping[str, Any]
    state: str
    stage: str
    share: float
    created: float
    updated: float
    result: Mapping[str, Any] | None
    reason: str | None


FIELDS = ("id", "owner", "recording", "state", "stage", "share", "created", "updated", "reason")


class JobStore:
    """The jobs of all copies of the service.

    Its methods block: call them in a thread. Each raises `DatabaseAwayError` where the database
    does not answer.

    Args:
        database: of all copies.
    """

    def __init__(self, database: ServiceDatabase) -> None:
        self._database = database

    def add_job(
        self,
        job: str,
        owner: str,
        recording: str,
        options: Mapping[str, Any],
        *,
        max_unfinished: int,
    ) -> bool:
        """Queue a job whose upload lies in the folder; False where too many are unfinished."""
        unfinished = select(func.count()).where(JOBS.c.state.in_(("queued", "running")))
        with self._database.begin() as connection:
            if connection.execute(unfinished).scalar_one() >= max_unfinished:
                return False
            now = self._database.now(connection)
            connection.execute(
                insert(JOBS).values(
                    id=job,
                    owner=owner,
                    recording=recording,
                    options=json.dumps(dict(options)),
                    state="queued",
                    created=now,
                    updated=now,
                )
            )
        return True

    def job(self, job: str, owner: str) -> Job | None:
        """A job of that owner, if there is one."""
        query = select(JOBS).where(JOBS.c.id == job, JOBS.c.owner == owner)
        with self._database.begin() as connection:
            row = connection.execute(query).mappings().first()
        return _job(row) if row else None

    def claim(self, process: str, lease: float) -> Job | None:
        """Take the oldest job that waits, or whose process gave no sign of life in time.

        Args:
            process: the name of the process that claims it.
            lease: for how long, in seconds.
        """
        with self._database.begin() as connection:
            now = self._database.now(connection)
            free = or_(
                JOBS.c.state == "queued", and_(JOBS.c.state == "running", JOBS.c.leased_until < now)
            )
            connection.execute(
                update(JOBS)
                .where(free, JOBS.c.attempts >= ATTEMPTS)
                .values(state="failed", reason=GIVEN_UP, updated=now)
            )
            oldest = select(JOBS.c.id).where(free).order_by(JOBS.c.created).limit(1)
            if not self._database.is_sqlite:  # two who look at the same time see different ones
                oldest = oldest.with_for_update(skip_locked=True)
            claim = (
                update(JOBS)
                .where(JOBS.c.id == oldest.scalar_subquery(), free)
                .values(
                    state="running",
                    stage="",
                    share=0.0,
                    updated=now,
                    leased_by=process,
                    leased_until=now + lease,
                    attempts=JOBS.c.attempts + 1,
                )
                .returning(JOBS)
            )
            row = connection.execute(claim).mappings().first()
        return _job(row) if row else None

    def renew(self, job: str, process: str, lease: float, stage: str, share: float) -> bool:
        """Give a sign of life; False if another process has the job, or it was deleted."""
        return self._change(job, process, lease, stage=stage, share=share)

    def finish(self, job: str, process: str, result: Mapping[str, Any]) -> bool:
        """Store the result; False as `renew`."""
        text = json.dumps(result, ensure_ascii=False)
        return self._change(job, process, 0.0, state="done", stage="", share=1.0, result=text)

    def fail(self, job: str, process: str, reason: str) -> bool:
        """Store why there is no result; False as `renew`."""
        return self._change(job, process, 0.0, state="failed", reason=reason)

    def give_back(self, job: str, process: str) -> bool:
        """Queue it again, as if it had not been claimed: this process ends."""
        attempts = JOBS.c.attempts - 1
        return self._change(
            job, process, 0.0, state="queued", stage="", share=0.0, attempts=attempts
        )

    def _change(self, job: str, process: str, lease: float, **values: Any) -> bool:
        with self._database.begin() as connection:
            now = self._database.now(connection)
            mine = update(JOBS).where(
                JOBS.c.id == job, JOBS.c.leased_by == process, JOBS.c.state == "running"
            )
            values |= {"updated": now, "leased_until": now + lease}
            return connection.execute(mine.values(**values)).rowcount == 1

    def delete_job(self, job: str, owner: str) -> bool:
        """Forget a job of that owner; its process stops. False if there is none."""
        mine = delete(JOBS).where(JOBS.c.id == job, JOBS.c.owner == owner)
        with self._database.begin() as connection:
            return connection.execute(mine).rowcount == 1

    def erase(self, owner: str, recording: str) -> list[str]:
        """Forget all jobs about a recording of that owner; their files are to be deleted."""
        own = and_(JOBS.c.owner == owner, JOBS.c.recording == recording)
        with self._database.begin() as connection:
            gone = connection.execute(delete(JOBS).where(own).returning(JOBS.c.id))
            return [str(job) for job in gone.scalars()]

    def expire(self, job_seconds: float) -> None:
        """Forget jobs that ended longer ago than that."""
        with self._database.begin() as connection:
            now = self._database.now(connection)
            finished = JOBS.c.state.in_(("done", "failed"))
            connection.execute(delete(JOBS).where(finished, JOBS.c.updated < now - job_seconds))

    def unfinished(self) -> set[str]:
        """The jobs whose uploads are still needed."""
        query = select(JOBS.c.id).where(JOBS.c.state.in_(("queued", "running")))
        with self._database.begin() as connection:
            return set(connection.execute(query).scalars())


def new_id() -> str:
    """A job's id, which cannot be guessed."""
    return uuid.uuid4().hex


def is_id(text: str) -> bool:
    """Whether it has the form of a job's id; databases refuse some texts that senders make up."""
    return re.fullmatch("[0-9a-f]{32}", text) is not None


def _job(row: Mapping[Any, Any]) -> Job:
    result = row["result"]
    return Job(
        **{name: row[name] for name in FIELDS},
        options=json.loads(row["options"]),
        result=None if result is None else json.loads(result),
    )
