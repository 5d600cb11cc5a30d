"""The jobs that copies of the service share, in one database; their uploads lie in a folder.

A process owns a job while its lease lasts. A process that gives no signs of life loses the job, and
another process takes it up again.
"""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.types import TypeDecorator

from components.conversation import Seconds
from serving.database import METADATA, ServiceDatabase
from serving.engine.scheduling import has_room

ATTEMPTS = 3
"""How often a job may take its process down with it before it is given up."""

UNFINISHED = ("arriving", "queued", "running")

ARRIVAL_SECONDS: Seconds = 600.0
"""A job whose upload is still not in the folder by then is forgotten: its process has died."""

GIVEN_UP = "the service ended three times while it worked on this recording"


class _Json(TypeDecorator[Any]):
    """JSON in a column of text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: Any) -> Any:
        return None if value is None else json.loads(value)


JOBS = sa.Table(
    "moodline_jobs",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    # The name of the API key that sent it; empty where there are no keys.
    sa.Column("owner", sa.String(100), nullable=False, index=True),
    sa.Column("recording", sa.String(100), nullable=False),  # its name
    sa.Column("options", _Json, nullable=False),  # the caller's
    # arriving (its upload is being stored), queued, running, done, failed
    sa.Column("state", sa.String(10), nullable=False, index=True),
    sa.Column("stage", sa.String(20), nullable=False, default=""),  # the current one, while running
    sa.Column("share", sa.Float, nullable=False, default=0.0),  # of that stage that is done, 0 to 1
    sa.Column("created", sa.Float, nullable=False),  # seconds since 1970
    sa.Column("updated", sa.Float, nullable=False),  # likewise
    sa.Column("leased_by", sa.String(32)),
    sa.Column("leased_until", sa.Float, nullable=False, default=0.0),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("result", _Json),  # the answer, once done
    sa.Column("reason", sa.Text),  # in one sentence, once failed
)

Job = Row[Any]
"""A recording that is analysed in the background, with an attribute for each column of `JOBS`."""


class JobStore:
    """The jobs of all copies of the service, in the database that they share.

    Its methods block: call them in a thread. Each raises `DatabaseAwayError` where the database
    does not answer.
    """

    def __init__(self, database: ServiceDatabase) -> None:
        self._database = database

    def add_job(
        self,
        job: str,
        owner: str,
        recording: str,
        options: Mapping[str, Any],
        max_unfinished: int,
        shares: bool = False,
    ) -> bool:
        """Note a job before its upload is stored, so that an erasure finds it.

        Returns:
            False where there is no room for one more; one who shares leaves room for others.
        """
        with self._database.begin() as connection:
            if not _has_room(connection, owner, max_unfinished, shares):
                return False
            now = self._database.now(connection)
            noted = sa.insert(JOBS).values(state="arriving", created=now, updated=now)
            noted = noted.values(id=job, owner=owner, recording=recording, options=dict(options))
            connection.execute(noted)
        return True

    def queue(self, job: str) -> Job | None:
        """Queue a job whose upload is stored now; None where it was erased meanwhile."""
        with self._database.begin() as connection:
            arrived = sa.update(JOBS).where(JOBS.c.id == job, JOBS.c.state == "arriving")
            arrived = arrived.values(state="queued", updated=self._database.now(connection))
            return connection.execute(arrived.returning(JOBS)).first()

    def job(self, job: str, owner: str) -> Job | None:
        """A job of that owner, if there is one."""
        query = sa.select(JOBS).where(JOBS.c.id == job, JOBS.c.owner == owner)
        with self._database.begin() as connection:
            return connection.execute(query).first()

    def claim(self, process: str, lease: float) -> Job | None:
        """Lease the next job that waits, or whose process gave no sign of life in time, to this
        process for so many seconds. The owners take turns: first comes a job whose owner has the
        fewest unfinished ones that are older, of those the oldest."""
        with self._database.begin() as connection:
            now = self._database.now(connection)
            lost = sa.and_(JOBS.c.state == "running", JOBS.c.leased_until < now)
            free = sa.or_(JOBS.c.state == "queued", lost)
            connection.execute(
                sa.update(JOBS)
                .where(free, JOBS.c.attempts >= ATTEMPTS)
                .values(state="failed", reason=GIVEN_UP, updated=now)
            )
            other = JOBS.alias()
            older = sa.select(sa.func.count()).where(
                other.c.owner == JOBS.c.owner,
                other.c.state.in_(UNFINISHED),
                other.c.created < JOBS.c.created,
            )
            turn = older.correlate(JOBS).scalar_subquery()
            first = sa.select(JOBS.c.id).where(free).order_by(turn, JOBS.c.created).limit(1)
            if not self._database.is_sqlite:  # two who look at the same time see different ones
                first = first.with_for_update(skip_locked=True, of=JOBS)
            claim = sa.update(JOBS).where(JOBS.c.id == first.scalar_subquery(), free)
            claim = claim.values(leased_by=process, leased_until=now + lease, updated=now)
            claim = claim.values(state="running", stage="", share=0.0)
            claim = claim.values(attempts=JOBS.c.attempts + 1)
            return connection.execute(claim.returning(JOBS)).first()

    def renew(self, job: str, process: str, lease: float, stage: str, share: float) -> bool:
        """Give a sign of life; False if another process has the job, or it was deleted."""
        return self._change(job, process, lease, stage=stage, share=share)

    def finish(self, job: str, process: str, result: Mapping[str, Any]) -> bool:
        """Store the result; False as `renew`."""
        values = {"stage": "", "share": 1.0, "result": dict(result)}
        return self._change(job, process, 0.0, state="done", **values)

    def fail(self, job: str, process: str, reason: str) -> bool:
        """Store why there is no result; False as `renew`."""
        return self._change(job, process, 0.0, state="failed", reason=reason)

    def give_back(self, job: str, process: str) -> bool:
        """Queue it again, as if it had not been claimed: this process ends."""
        values = {"stage": "", "share": 0.0, "attempts": JOBS.c.attempts - 1}
        return self._change(job, process, 0.0, state="queued", **values)

    def _change(self, job: str, process: str, lease: float, **values: Any) -> bool:
        with self._database.begin() as connection:
            now = self._database.now(connection)
            mine = sa.update(JOBS).where(
                JOBS.c.id == job, JOBS.c.leased_by == process, JOBS.c.state == "running"
            )
            values |= {"updated": now, "leased_until": now + lease}
            return connection.execute(mine.values(**values)).rowcount == 1

    def delete_job(self, job: str, owner: str) -> bool:
        """Forget a job of that owner; its process stops. False if there is none."""
        return bool(self._delete(JOBS.c.id == job, JOBS.c.owner == owner))

    def erase(self, owner: str, recording: str) -> list[str]:
        """Forget all jobs about a recording of that owner; their files are to be deleted."""
        return self._delete(JOBS.c.owner == owner, JOBS.c.recording == recording)

    def _delete(self, *conditions: sa.ColumnElement[bool]) -> list[str]:
        """Delete jobs, and what SQLite's write-ahead log holds of them; which ones there were."""
        if not self._database.exists:
            return []
        with self._database.begin() as connection:
            deleted = sa.delete(JOBS).where(*conditions).returning(JOBS.c.id)
            gone = [str(job) for job in connection.execute(deleted).scalars()]
        if gone:
            self._database.empty_wal()
        return gone

    def expire(self, job_seconds: float) -> None:
        """Forget jobs that ended longer ago than that, and those that never arrived."""
        with self._database.begin() as connection:
            now = self._database.now(connection)
        finished = JOBS.c.state.in_(("done", "failed"))
        self._delete(finished, JOBS.c.updated < now - job_seconds)
        self._delete(JOBS.c.state == "arriving", JOBS.c.created < now - ARRIVAL_SECONDS)

    def longest_wait(self) -> Seconds:
        """How long the oldest job that waits has been waiting; 0 where none waits."""
        query = sa.select(sa.func.min(JOBS.c.created)).where(JOBS.c.state == "queued")
        with self._database.begin() as connection:
            oldest = connection.execute(query).scalar()
            return 0.0 if oldest is None else max(0.0, self._database.now(connection) - oldest)

    def unfinished(self) -> set[str]:
        """The jobs whose uploads are still needed."""
        query = sa.select(JOBS.c.id).where(JOBS.c.state.in_(UNFINISHED))
        with self._database.begin() as connection:
            return set(connection.execute(query).scalars())


def _has_room(connection: Connection, owner: str, max_unfinished: int, shares: bool) -> bool:
    own = sa.func.count().filter(JOBS.c.owner == owner)
    query = sa.select(own, sa.func.count()).where(JOBS.c.state.in_(UNFINISHED))
    mine, unfinished = connection.execute(query).one()
    return has_room(mine, unfinished, max_unfinished, shares=shares)


def new_id() -> str:
    """A job's id, which cannot be guessed."""
    return uuid.uuid4().hex


def is_id(text: str) -> bool:
    """Whether it has the form of a job's id; databases refuse some texts that senders make up."""
    return re.fullmatch("[0-9a-f]{32}", text) is not None
