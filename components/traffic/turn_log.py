"""The prediction log: the turns that were answered, in the database that feedback is in.

Sound that the operator keeps lies beside it, in the log's folder (see `components.traffic.audio`).
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from components.base import Database, Location, Unavailable, delete_file, located
from components.traffic.audio import audio_of, audio_path, kept_files
from components.traffic.older_log import has_older_log, migrate
from components.traffic.rows import (
    KeyMissingError,
    known_key,
    recording_key,
    schema,
    to_table,
)
from components.traffic.tables import (
    ERASED,
    EXPORTED,
    SAID,
    TURNS,
    UNDER_WAY,
    counts,
    is_late,
    traffic_database,
)

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

_ROWS = 4096
"""That are read at a time."""

ABANDONED = timedelta(days=2)
"""No analysis takes so long: its process has died."""

_SELECT = select(*(TURNS.c[name] for name in EXPORTED))


@dataclass(frozen=True, slots=True)
class ErasedTurns:
    """What an erasure found in the log.

    Attributes:
        logged: turns and sound files.
        feedback: entries.
        under_way: analyses that go on now; nothing of them will be kept.
    """

    logged: int
    feedback: int
    under_way: int


class TurnLog:
    """The log of a folder and a database. Several processes may write and read it.

    Args:
        folder: of the key and the sound, also of an object store. What an older version logged
            there is put into the database when the log is first used.
        url: SQLAlchemy's, of the database.

    Raises:
        InputError: it is no such URL, or its driver is not installed.
    """

    def __init__(self, folder: Location, url: str) -> None:
        self.folder = located(folder)
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
        if isinstance(self.folder, Path) and has_older_log(self.folder):
            # Not with this log's connections: what they commit may be lost with the power.
            with closing(traffic_database(self._url)) as database:
                migrate(self.folder, database)

    @property
    def exists(self) -> bool:
        """False if nothing was ever logged; then reading makes no file."""
        return self._database.exists or has_older_log(self.folder)

    def is_empty(self) -> bool:
        """Whether nothing is kept: no turn, no feedback, no sound, nothing that is under way.

        Raises:
            Unavailable: the database, or the object store, does not answer.
        """
        if any(kept_files(self.folder)):
            return False
        if not self.exists:
            return True
        with self.open().begin() as connection:
            tables = (TURNS, *SAID, UNDER_WAY)
            kept = (select(table.c.request_id).limit(1) for table in tables)
            return all(connection.execute(query).first() is None for query in kept)

    def key(self) -> bytes:
        """What recordings' names are hashed with, made where the log is empty: with another one,
        nothing that it holds could be erased any more.

        Raises:
            KeyMissingError: the log is not empty, and its key is not there.
            Unavailable: the database does not answer, or the key cannot be read or made.
        """
        try:
            if known_key(self.folder) or self.is_empty() or known_key(self.folder):
                return recording_key(self.folder)  # maybe another process has just made it
        except OSError as error:
            raise Unavailable(f"{self.folder / 'key'}: {error.strerror}") from None
        raise KeyMissingError(self.folder)

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

    def begin(self, request_id: str, recording: str) -> datetime:
        """Note that a recording is being analysed, so that `erase` reaches it.

        Of a job that another process has lost, the mark is taken over; once erased, it stays so.

        Returns:
            When: it tells this analysis from another one for the same request.

        Raises:
            Unavailable: the database does not answer.
        """
        began = datetime.now(UTC)
        row = {"request_id": request_id, "recording": recording, "began": began, "erased": False}
        taken = update(UNDER_WAY).where(UNDER_WAY.c.request_id == request_id).values(began=began)
        with self.open().begin() as connection:
            if not connection.execute(taken).rowcount:
                connection.execute(insert(UNDER_WAY), row)
        return began

    def end(self, request_id: str, began: datetime) -> bool:
        """Note that the analysis has ended, and what is to be kept of it is written.

        Args:
            began: as `begin` told it.

        Returns:
            True where the recording was erased meanwhile, or where nobody can tell, because the
            mark is gone. Nothing of this request is kept then.

        Raises:
            Unavailable: the database does not answer.
        """
        request = UNDER_WAY.c.request_id == request_id
        ended = delete(UNDER_WAY).where(request, UNDER_WAY.c.began == began)
        with self.open().begin() as connection:
            erased = connection.execute(ended.returning(UNDER_WAY.c.erased)).scalar()
            if erased is None:  # another process has taken the job over, and the mark is its own
                erased = connection.execute(select(UNDER_WAY.c.erased).where(request)).scalar()
        if erased is None or erased:
            self._forget([request_id])
            return True
        return False

    def _forget(self, request_ids: Sequence[str]) -> None:
        """Delete the turns and the sound of requests."""
        with self._database.begin() as connection:
            connection.execute(delete(TURNS).where(TURNS.c.request_id.in_(request_ids)))
        ends = tuple(f".{request_id}.flac" for request_id in request_ids)
        for file in kept_files(self.folder) if ends else ():
            if file.name.endswith(ends):
                delete_file(file)
        self._database.empty_wal()

    def requests(self, recordings: Collection[str]) -> set[str]:
        """The ids of the requests that something is kept of, by their recordings.

        Raises:
            Unavailable: the database does not answer.
        """
        sound = (path for recording in recordings for path in audio_of(self.folder, recording))
        found = {path.stem.partition(".")[2] for path in sound}
        if self.exists:
            with self.open().begin() as connection:
                for table in (TURNS, *SAID):
                    query = select(table.c.request_id).where(table.c.recording.in_(recordings))
                    found.update(connection.execute(query.distinct()).scalars())
        return found

    def clips(self, correlation: str, owner: str) -> set[str]:
        """The recordings that stand for the clips of requests to which the sender gave that id.

        Args:
            owner: as `owner_id` gives it.

        Raises:
            Unavailable: the database does not answer.
        """
        if not self.exists:
            return set()
        query = select(TURNS.c.recording).where(
            TURNS.c.correlation == correlation,
            TURNS.c.owner == owner,
            TURNS.c.route == "/v1/classify",
        )
        with self.open().begin() as connection:
            return set(connection.execute(query).scalars())

    def erase(self, recordings: Collection[str]) -> ErasedTurns:
        """Erase recordings: turns, sound, feedback, and what is being analysed now.

        Nothing is left of a recording that is not known. What is sent later is kept.

        Args:
            recordings: as they stand in the log (see `recording_id`).

        Raises:
            Unavailable: the database does not answer; nothing was erased. Or the object store does
                not; ask again.
        """
        turns = feedback = under_way = 0
        if self.exists:
            with self.open().begin() as connection:
                # Committed first: an analysis writes its turns, and then looks for the mark.
                mine = UNDER_WAY.c.recording.in_(recordings)
                marked = update(UNDER_WAY).where(mine).values(erased=True)
                under_way = connection.execute(marked).rowcount
                if recordings and has_older_log(self.folder):  # a writer of version 0.1 lives
                    now = datetime.now(UTC)
                    marks = [{"recording": recording, "time": now} for recording in recordings]
                    connection.execute(insert(ERASED), marks)
            with self.open().begin() as connection:
                logged = TURNS.c.recording.in_(recordings)
                turns = connection.execute(delete(TURNS).where(logged)).rowcount
                for table in SAID:
                    corrected = table.c.recording.in_(recordings)
                    feedback += connection.execute(delete(table).where(corrected)).rowcount
            self._database.empty_wal()
        files = [path for recording in recordings for path in audio_of(self.folder, recording)]
        for path in files:
            delete_file(path)
        return ErasedTurns(turns + len(files), feedback, under_way)

    def sweep(
        self, *, content_days: float, days: float, now: datetime | None = None
    ) -> tuple[int, int]:
        """Delete what is too old, the content (words, sound) first; and what an analysis that died
        has left of an erased recording.

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
                    delete_file(audio_path(self.folder, recording, request_id, time))
                deleted += connection.execute(delete(TURNS).where(*is_late())).rowcount
                deleted += connection.execute(delete(TURNS).where(TURNS.c.time < whole)).rowcount
                if not has_older_log(self.folder):
                    connection.execute(delete(ERASED))
                died = UNDER_WAY.c.began < now - ABANDONED
                gone = select(UNDER_WAY.c.request_id).where(died, UNDER_WAY.c.erased)
                abandoned = list(connection.execute(gone).scalars())
                connection.execute(delete(UNDER_WAY).where(died))
                has_old_text = (TURNS.c.time < content, TURNS.c.text.is_not(None))
                without_text = update(TURNS).where(*has_old_text).values(text=None)
                emptied = connection.execute(without_text).rowcount
            self._forget(abandoned)
        for file in kept_files(self.folder, before=min(content, now)):
            delete_file(file)
            deleted += 1
        return emptied, deleted

    def close(self) -> None:
        """Let go of the connections."""
        self._database.close()
