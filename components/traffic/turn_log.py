"""The prediction log: the turns that were answered, in the database that feedback is in.

Sound that the operator keeps lies beside it, in the log's folder (see `components.traffic.audio`).
"""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from components.base import Database, database_errors
from components.conversation import Seconds
from components.traffic.audio import audio_of, audio_path
from components.traffic.older_log import has_older_log, migrate
from components.traffic.rows import schema, to_table
from components.traffic.tables import (
    COLUMNS,
    ERASED,
    FEEDBACK,
    TURNS,
    counts,
    is_late,
    traffic_database,
)

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

_ROWS = 4096
"""That are read at a time."""

_ATTEMPTS = 5
_PAUSE: Seconds = 0.2
"""Of emptying SQLite's write-ahead log, and between two of them."""

_SELECT = select(*(TURNS.c[name] for name in COLUMNS))


class TurnLog:
    """The log of a folder and a database. Several processes may write and read it.

    Args:
        folder: of the key and the sound. What an older version logged there is put into the
            database when the log is first used.
        url: SQLAlchemy's, of the database.

    Raises:
        InputError: it is no such URL, or its driver is not installed.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = Path(folder)
        self._database = traffic_database(url, synchronous="NORMAL")
        self._url = url
        self._migrated = False

    def open(self) -> Database:
        """The database, with what an older version logged in the folder.

        Raises:
            Unavailable: it does not answer.
        """
        if not self._migrated:
            self._migrate()
            self._database.open()
            self._migrated = True
        return self._database

    def _migrate(self) -> None:
        if has_older_log(self.folder):
            # Not with this log's connections: what they commit may be lost with the power.
            with closing(traffic_database(self._url)) as database:
                migrate(self.folder, database)

    @property
    def exists(self) -> bool:
        """False if nothing was ever logged; then reading makes no file."""
        return self._database.exists or has_older_log(self.folder)

    def batches(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        version: int | None = None,
    ) -> "Iterator[pa.Table]":
        """The turns that were answered from `since` until before `until`, by time.

        Args:
            version: only what this model version answered.

        Yields:
            Tables with the columns of `schema`, of a few thousand rows.

        Raises:
            Unavailable: the database does not answer.
        """
        if not self.exists:
            return
        conditions = [counts()]
        if since is not None:
            conditions.append(TURNS.c.time >= since.astimezone(UTC))
        if until is not None:
            conditions.append(TURNS.c.time < until.astimezone(UTC))
        if version is not None:
            conditions.append(TURNS.c.version == version)
        query = _SELECT.where(*conditions).order_by(TURNS.c.time, TURNS.c.request_id, TURNS.c.turn)
        with self.open().begin() as connection:
            rows = connection.execution_options(yield_per=_ROWS).execute(query)
            for part in rows.partitions():
                yield to_table(part)

    def window(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        version: int | None = None,
    ) -> "pa.Table":
        """`batches` as one table."""
        import pyarrow as pa

        batches = self.batches(since, until, version=version)
        return pa.concat_tables([schema().empty_table(), *batches])

    def erase(self, recordings: Iterable[str], now: datetime | None = None) -> tuple[int, int]:
        """Erase recordings: turns, sound and feedback. What is answered later is kept.

        Args:
            recordings: as they stand in the log (see `recording_id`).

        Returns:
            How many turns and sound files there were, and how many entries of feedback.

        Raises:
            Unavailable: the database does not answer; nothing was erased.
        """
        recordings, now = list(recordings), now or datetime.now(UTC)
        turns = feedback = 0
        if self.exists:
            erasures = [{"recording": recording, "time": now} for recording in recordings]
            with self.open().begin() as connection:
                connection.execute(insert(ERASED), erasures)
                answered = (TURNS.c.recording.in_(recordings), TURNS.c.time <= now)
                turns = connection.execute(delete(TURNS).where(*answered)).rowcount
                corrected = FEEDBACK.c.recording.in_(recordings)
                feedback = connection.execute(delete(FEEDBACK).where(corrected)).rowcount
            _empty_wal(self._database)
        files = [path for recording in recordings for path in audio_of(self.folder, recording)]
        for path in files:
            path.unlink(missing_ok=True)
        return turns + len(files), feedback

    def sweep(
        self, *, content_days: float, days: float, now: datetime | None = None
    ) -> tuple[int, int]:
        """Delete what is too old, the content (words, sound) first; and late rows of the erased.

        Args:
            content_days: how long words and sound are kept.
            days: how long anything is.

        Returns:
            How many turns lost their words, and how many turns and sound files were deleted.

        Raises:
            Unavailable: the database does not answer.
        """
        now = now or datetime.now(UTC)
        content, whole = now - timedelta(days=content_days), now - timedelta(days=days)
        emptied = deleted = 0
        if self.exists:
            self._migrate()  # an older writer may have ended since
            columns = (TURNS.c.recording, TURNS.c.request_id, TURNS.c.time)
            late_audio = select(*columns).where(*is_late(), TURNS.c.audio).distinct()
            with self.open().begin() as connection:
                for recording, request_id, time in connection.execute(late_audio):
                    audio_path(self.folder, recording, request_id, time).unlink(missing_ok=True)
                deleted += connection.execute(delete(TURNS).where(*is_late())).rowcount
                deleted += connection.execute(delete(TURNS).where(TURNS.c.time < whole)).rowcount
                connection.execute(delete(ERASED).where(ERASED.c.time < whole))
                has_old_text = (TURNS.c.time < content, TURNS.c.text.is_not(None))
                without_text = update(TURNS).where(*has_old_text).values(text=None)
                emptied = connection.execute(without_text).rowcount
            _empty_wal(self._database)
        for path in (self.folder / "audio").glob("day=*/[!.]*.flac"):
            day = datetime.strptime(path.parent.name, "day=%Y-%m-%d").replace(tzinfo=UTC)
            if day + timedelta(days=1) <= min(content, now):
                path.unlink(missing_ok=True)
                deleted += 1
        return emptied, deleted

    def close(self) -> None:
        """Let go of the connections."""
        self._database.close()


def find_request(database: Database, request_id: str) -> list[dict[str, Any]]:
    """The rows of a request, by turn; none if it is not in the log.

    Callers may name two requests alike; the later one counts.
    """
    query = _SELECT.where(TURNS.c.request_id == request_id, counts())
    with database.begin() as connection:
        rows = to_table(connection.execute(query).all()).to_pylist()
    last = max((row["time"] for row in rows), default=None)
    return sorted((row for row in rows if row["time"] == last), key=lambda row: row["turn"] or 0)


def _empty_wal(database: Database) -> None:
    """SQLite: what was deleted is not to stay in the write-ahead log either.

    It cannot be emptied while somebody reads. Writers wait for an attempt, so attempts are short.
    """
    if not database.is_sqlite:
        return
    with database_errors(database.name), database.open().connect() as connection:
        connection.detach()  # no other use has this timeout
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
        for _ in range(_ATTEMPTS):
            if not connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]:
                return
            time.sleep(_PAUSE)
    stays = "what was deleted stays in its write-ahead log until the next erasure or sweep"
    logger.warning("%s: somebody reads it, so %s", database.name, stays)
