"""Writing the log: a request is in the database before it is answered."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Dialect, insert
from sqlalchemy.exc import DBAPIError

from components.base import Database, InputError, MoodlineError, Unavailable, database_errors
from components.conversation import Seconds
from components.traffic.rows import LoggedRequest
from components.traffic.tables import COLUMNS, TURNS
from components.traffic.turn_log import TurnLog

MAX_WAIT: Seconds = 3.0
"""After so long a request is answered without having been logged. Nor does the writer wait longer
for a lock or a statement."""

RETRY: Seconds = 2.0
"""Between attempts to reach a database that is away."""

_TOO_SLOW = f"the feedback's database: no answer within {MAX_WAIT:g} s"


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request's rows, which some thread writes down."""

    rows: list[dict[str, Any]]
    done: bool = False
    error: MoodlineError | None = None


class LogWriter:
    """Writes requests down. Its methods may be called by several threads.

    One thread writes at a time. Its transaction holds its own request and all requests that wait by
    then. Handing requests to a dedicated writer thread would cost each of them as much again as the
    database does.

    While the database is away requests fail at once, and a thread looks for it.
    """

    def __init__(self, log: TurnLog) -> None:
        self._log = log
        self._failure = ""
        self._began: float | None = None
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._connection: Connection | None = None

    def write(self, request: LoggedRequest) -> None:
        """Write a request; it outlives this process when this returns.

        Raises:
            Unavailable: the database does not answer, not in time, or has no room.
            InputError: the database does not take this request.
        """
        began = self._began
        if self._failure or (began and time.monotonic() - began > MAX_WAIT):
            raise Unavailable(self._failure or _TOO_SLOW)
        waiting = _Waiting(request.rows())
        self._waiting.append(waiting)
        if not self._lock.acquire(timeout=MAX_WAIT):
            with suppress(ValueError):  # it is being written; `end` waits for that
                self._waiting.remove(waiting)
            raise Unavailable(_TOO_SLOW)
        try:
            if not waiting.done:
                self._began = time.monotonic()
                self._write([self._waiting.popleft() for _ in range(len(self._waiting))])
        finally:
            self._began = None
            self._lock.release()
        if waiting.error is not None:
            raise waiting.error

    def begin(self, request_id: str, recording: str) -> datetime:
        """As `TurnLog.begin`; fails at once while the database is away."""
        with self._noticing():
            return self._log.begin(request_id, recording)

    def end(self, request_id: str, began: datetime) -> bool:
        """As `TurnLog.end`, once nothing of the request can be written any more; fails at once
        while the database is away."""
        if not self._lock.acquire(timeout=MAX_WAIT):
            raise Unavailable(_TOO_SLOW)
        self._lock.release()
        with self._noticing():
            return self._log.end(request_id, began)

    def close(self) -> None:
        """Stop writing; what waits is written first."""
        self._closed.set()
        self._failure = "the prediction log is closed"
        if self._lock.acquire(timeout=MAX_WAIT):
            self._disconnect()
            self._lock.release()

    def _write(self, group: Sequence[_Waiting]) -> None:
        """Write a group; where a value is at fault, each of its requests alone."""
        error: MoodlineError | None = None
        try:
            self._insert([row for waiting in group for row in waiting.rows])
        except (Unavailable, OSError) as away:
            error = Unavailable(str(away))
            self._look_for_it(error)
        except Exception as refused:  # the database does not hold a value of it
            if len(group) > 1:
                for waiting in group:
                    self._write([waiting])
                return
            error = InputError(f"a request cannot be logged: {str(refused).splitlines()[0]}")
        for waiting in group:
            waiting.error = error
            waiting.done = True

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Do not ask a database that is away; where it proves to be, look for it."""
        if self._failure:
            raise Unavailable(self._failure)
        try:
            yield
        except (Unavailable, OSError) as away:
            self._look_for_it(away)
            raise

    def _look_for_it(self, away: Exception) -> None:
        """Fail all requests until the database answers again."""
        if not self._failure:
            self._failure = str(away)
            threading.Thread(target=self._look_again, name="log-retry", daemon=True).start()

    def _look_again(self) -> None:
        """Wait until the database answers."""
        while not self._closed.wait(RETRY):
            with suppress(Unavailable, OSError), self._log.open().begin() as connection:
                connection.exec_driver_sql("SELECT 1")
                self._failure = ""
                return

    def _insert(self, rows: Sequence[dict[str, Any]]) -> None:
        database = self._log.open()
        with database_errors(database.name):
            try:
                try:
                    self._execute(database, rows)
                except DBAPIError as error:
                    self._disconnect()
                    if not error.connection_invalidated:
                        raise
                    self._execute(database, rows)  # the server was started anew since
                if self._connection is not None:
                    self._connection.commit()
            except Exception:
                self._disconnect()
                raise

    def _execute(self, database: Database, rows: Sequence[dict[str, Any]]) -> None:
        if self._connection is None:
            self._connection = _connect(database)
            self._statement = _Statement(self._connection.dialect)
        self._statement.execute(self._connection, rows)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(database: Database) -> Connection:
    """A connection of the writer's own. It waits `MAX_WAIT` for others, and not longer."""
    connection = database.open().connect()
    connection.detach()  # no other use has these timeouts
    milliseconds = round(MAX_WAIT * 1000)
    if database.is_sqlite:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={milliseconds}")
    else:
        connection.exec_driver_sql(f"SET lock_timeout={milliseconds}")
        connection.exec_driver_sql(f"SET statement_timeout={milliseconds}")
        connection.commit()
    return connection


class _Statement:
    """An INSERT into `TURNS`, compiled once.

    SQLAlchemy's own execution takes twice the processor time, and each request pays for it.
    """

    def __init__(self, dialect: Dialect) -> None:
        compiled = insert(TURNS).inline().compile(dialect=dialect, column_keys=COLUMNS)
        self._sql = str(compiled)
        self._positions = compiled.positiontup
        processors = {
            name: TURNS.c[name].type.dialect_impl(dialect).bind_processor(dialect)
            for name in COLUMNS
        }
        self._processors = {name: to for name, to in processors.items() if to is not None}

    def execute(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        values: Any = [
            row | {name: to(row[name]) for name, to in self._processors.items()} for row in rows
        ]
        if self._positions:
            values = [tuple(row[name] for name in self._positions) for row in values]
        connection.exec_driver_sql(self._sql, values)
