"""What copies of the service share: jobs, and how often each key was used.

One database (SQLite by default, PostgreSQL by settings) and one folder for the uploads themselves.
A job is somebody's as long as its lease lasts; whoever stops giving signs of life loses it, and
another takes it up again.
"""

import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    create_engine,
    delete,
    event,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.schema import CreateTable

from components.base import connect_arguments, database_errors

ATTEMPTS = 3
"""How often a job may take its process down with it before it is given up."""

GIVEN_UP = "the service ended three times while it worked on this recording"

METADATA = MetaData()
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
USES = Table(
    "moodline_uses",
    METADATA,
    Column("key", String(100), primary_key=True),
    Column("minute", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Job:
    """A recording that is analysed in the background.

    Attributes:
        owner: the key's name that sent it; empty where there are no keys.
        recording: its name, as the sender calls it.
        options: what was asked, as JSON holds it.
        state: queued, running, done or failed.
        stage: what is being done, while running.
        share: of that stage that is done, 0 to 1.
        created: seconds since 1970.
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


class Store:
    """The database; its tables are made when first needed, so it may be away before.

    Its methods block: call them in a thread. Each raises `DatabaseAwayError` where the database
    does not answer.

    Args:
        url: SQLAlchemy's.
    """

    def __init__(self, url: str) -> None:
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        # An error's text goes into the log, which is no place for what was said.
        self._database = create_engine(
            url,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args=connect_arguments(make_url(url)),
        )
        self._postgres = self._database.dialect.name == "postgresql"
        if not self._postgres:
            event.listen(self._database, "connect", _set_up_sqlite)
        self._made = False

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A transaction; the tables are there. Two threads may make them at the same time."""
        with database_errors():
            if not self._made:
                for table in METADATA.sorted_tables:
                    self._create(table)
                self._made = True
            with self._database.begin() as connection:
                yield connection

    def _create(self, table: Table) -> None:
        try:
            with self._database.begin() as connection:
                connection.execute(CreateTable(table, if_not_exists=True))
        except (IntegrityError, ProgrammingError):
            # PostgreSQL's “if not exists” does not hold against another copy.
            with self._database.begin() as connection:
                connection.execute(CreateTable(table, if_not_exists=True))

    def close(self) -> None:
        """Close the connections."""
        self._database.dispose()

    def _now(self, connection: Connection) -> float:
        """Seconds since 1970, by the one clock that all copies share."""
        if not self._postgres:
            return time.time()
        clock = select(func.extract("epoch", func.clock_timestamp()))
        return float(connection.execute(clock).scalar_one())

    def add_job(
        self, job: str, owner: str, recording: str, options: Mapping[str, Any], *, most: int
    ) -> bool:
        """Queue a job whose upload lies in the folder; False if `most` are unfinished already."""
        unfinished = select(func.count()).where(JOBS.c.state.in_(("queued", "running")))
        with self._transaction() as connection:
            if connection.execute(unfinished).scalar_one() >= most:
                return False
            now = self._now(connection)
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
        wanted = select(JOBS).where(JOBS.c.id == job, JOBS.c.owner == owner)
        with self._transaction() as connection:
            row = connection.execute(wanted).mappings().first()
        return _job(row) if row else None

    def claim(self, me: str, lease: float) -> Job | None:
        """Take the oldest job that waits, or whose process gave no sign of life in time.

        Args:
            me: names the one who claims it.
            lease: seconds for which it is theirs.
        """
        with self._transaction() as connection:
            now = self._now(connection)
            free = or_(
                JOBS.c.state == "queued",
                and_(JOBS.c.state == "running", JOBS.c.leased_until < now),
            )
            connection.execute(
                update(JOBS)
                .where(free, JOBS.c.attempts >= ATTEMPTS)
                .values(state="failed", reason=GIVEN_UP, updated=now)
            )
            oldest = select(JOBS.c.id).where(free).order_by(JOBS.c.created).limit(1)
            if self._postgres:  # two who look at the same time see different ones
                oldest = oldest.with_for_update(skip_locked=True)
            taken = (
                update(JOBS)
                .where(JOBS.c.id == oldest.scalar_subquery(), free)
                .values(
                    state="running",
                    stage="",
                    share=0.0,
                    updated=now,
                    leased_by=me,
                    leased_until=now + lease,
                    attempts=JOBS.c.attempts + 1,
                )
                .returning(JOBS)
            )
            row = connection.execute(taken).mappings().first()
        return _job(row) if row else None

    def renew(self, job: str, me: str, lease: float, stage: str, share: float) -> bool:
        """Give a sign of life; False if the job is no longer theirs, or was deleted."""
        return self._change(job, me, lease, stage=stage, share=share)

    def finish(self, job: str, me: str, result: Mapping[str, Any]) -> bool:
        """Say what came out; False as `renew`."""
        text = json.dumps(result, ensure_ascii=False)
        return self._change(job, me, 0.0, state="done", stage="", share=1.0, result=text)

    def fail(self, job: str, me: str, reason: str) -> bool:
        """Say why nothing came out; False as `renew`."""
        return self._change(job, me, 0.0, state="failed", reason=reason)

    def give_back(self, job: str, me: str) -> bool:
        """Queue it again, as if it had not been taken: this process is going."""
        attempts = JOBS.c.attempts - 1
        return self._change(job, me, 0.0, state="queued", stage="", share=0.0, attempts=attempts)

    def _change(self, job: str, me: str, lease: float, **values: Any) -> bool:
        with self._transaction() as connection:
            now = self._now(connection)
            mine = update(JOBS).where(
                JOBS.c.id == job, JOBS.c.leased_by == me, JOBS.c.state == "running"
            )
            values |= {"updated": now, "leased_until": now + lease}
            return connection.execute(mine.values(**values)).rowcount == 1

    def delete_job(self, job: str, owner: str) -> bool:
        """Forget a job of that owner; whoever works at it stops. False if there is none."""
        mine = delete(JOBS).where(JOBS.c.id == job, JOBS.c.owner == owner)
        with self._transaction() as connection:
            return connection.execute(mine).rowcount == 1

    def erase(self, owner: str, recording: str) -> list[str]:
        """Forget all jobs about a recording of that owner; their files are to be deleted."""
        own = and_(JOBS.c.owner == owner, JOBS.c.recording == recording)
        with self._transaction() as connection:
            gone = connection.execute(delete(JOBS).where(own).returning(JOBS.c.id))
            return [str(job) for job in gone.scalars()]

    def expire(self, job_seconds: float) -> None:
        """Forget jobs that ended longer ago than that, and who asked how often."""
        with self._transaction() as connection:
            now = self._now(connection)
            finished = JOBS.c.state.in_(("done", "failed"))
            connection.execute(delete(JOBS).where(finished, JOBS.c.updated < now - job_seconds))
            connection.execute(delete(USES).where(USES.c.minute < int(now // 60) - 1))

    def unfinished(self) -> set[str]:
        """The jobs whose uploads are still needed."""
        wanted = select(JOBS.c.id).where(JOBS.c.state.in_(("queued", "running")))
        with self._transaction() as connection:
            return set(connection.execute(wanted).scalars())

    def use(self, key: str) -> tuple[int, float]:
        """Count one more request of a key.

        Returns:
            How many there were in this minute, this one included, and the seconds until the next.
        """
        upsert = (postgresql if self._postgres else sqlite).insert(USES)
        with self._transaction() as connection:
            now = self._now(connection)
            counted = (
                upsert.values(key=key, minute=int(now // 60), count=1)
                .on_conflict_do_update(
                    index_elements=[USES.c.key, USES.c.minute], set_={"count": USES.c.count + 1}
                )
                .returning(USES.c.count)
            )
            return int(connection.execute(counted).scalar_one()), 60 - now % 60


def new_id() -> str:
    """A name that cannot be guessed."""
    return uuid.uuid4().hex


def is_id(text: str) -> bool:
    """Whether it has a job's form; databases choke on some of what senders make up."""
    return re.fullmatch("[0-9a-f]{32}", text) is not None


def _job(row: Mapping[Any, Any]) -> Job:
    result = row["result"]
    return Job(
        **{name: row[name] for name in FIELDS},
        options=json.loads(row["options"]),
        result=None if result is None else json.loads(result),
    )


def _set_up_sqlite(connection: Any, _: Any) -> None:
    """Readers beside a writer, and a writer that waits for another instead of failing."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA busy_timeout=10000")
