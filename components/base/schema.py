"""The tables of a database, and how it comes to have them: by Alembic, whenever it is opened.

Each schema has a folder of revisions, `v1_1.py`, `v1_2.py` and so on, and a table of its own that
says which one a database is at. Several schemas may share a database. A revision is named by two
numbers. As long as the first one stays, revisions only add tables, indexes and nullable columns. So
a program of before goes on with a database that is newer, which a rolling update needs. Where the
first number is another one, it is refused.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.base.errors import InputError
from components.base.migration import migrated

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection, Engine, MetaData

_LOCK_SECONDS = 60
"""How long a program waits on PostgreSQL for another one that changes the tables."""

_ALEMBIC = threading.Lock()
"""Alembic does not say that threads may use it at once. A thread takes it last, when it has its own
database for itself: so nobody waits here for a database that does not answer."""

# At its own level Alembic tells of each database that it looks at.
logging.getLogger("alembic").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables that belong together.

    Attributes:
        name: in one word.
        tables: as they are after the last revision.
        revisions: the folder of Alembic's revisions, which make them. The `upgrade` of each is
            given Alembic's operations as `op`.
        head: the last of them. Alembic itself takes a third of a second to load, so it is loaded
            only for a database that is not there yet.
    """

    name: str
    tables: "MetaData"
    revisions: Path
    head: str

    @property
    def version_table(self) -> str:
        """The name of the table that holds a database's revision."""
        return f"moodline_{self.name}_revision"

    def script(self) -> "ScriptDirectory":
        """The revisions, as Alembic has them."""
        from alembic.script import ScriptDirectory

        return ScriptDirectory(str(self.revisions), version_locations=[str(self.revisions)])

    def upgrade(self, engine: "Engine", name: str) -> None:
        """Bring a database to the last revision, all the way or not at all.

        Programs that start together do it one after the other.

        Args:
            engine: of the database.
            name: whose it is, for the error's line.

        Raises:
            InputError: it is of a newer Moodline, which this one does not understand.
            sqlalchemy.exc.DBAPIError: it does not answer, or does not allow it.
        """
        with engine.connect() as connection:
            if self.is_current(connection, name):
                return
        with _alone(engine, self.version_table) as connection:
            if not self.is_current(connection, name):
                self._run(connection, name)

    def is_current(self, connection: "Connection", name: str) -> bool:
        """Whether a database has these tables; one that has more in it has them, too.

        Raises:
            InputError: as `upgrade`.
        """
        current = self.revision(connection)
        if current is None or current == self.head:
            return current is not None
        here, known = _numbers(current), _numbers(self.head)
        if here[:1] > known[:1] or not here:
            raise InputError(
                f"{name}: is of a newer Moodline (its tables are of revision {current}, this "
                f"version knows them up to {self.head}); use the newer version, or restore a "
                "backup from before"
            )
        return here > known

    def revision(self, connection: "Connection") -> str | None:
        """The revision that a database is at; None where no revision has been run."""
        from sqlalchemy import String, column, inspect, select, table

        if not inspect(connection).has_table(self.version_table):
            return None
        query = select(column("version_num", String)).select_from(table(self.version_table))
        return connection.execute(query).scalar()

    def _run(self, connection: "Connection", name: str) -> None:
        before = self.revision(connection)
        with _ALEMBIC:
            self._run_revisions(connection)
        self._check_tables(connection, name)
        if before is not None:
            migrated(name, f"its tables went from revision {before} to {self.head}")

    def _run_revisions(self, connection: "Connection") -> None:
        """Run what a database lacks, on this connection and no other.

        `alembic.op` and `alembic.context` are the whole process': with two databases opened at
        once, the revisions of one went to the other. So a revision gets the operations handed in.
        """
        from alembic.operations import Operations
        from alembic.runtime.migration import MigrationContext

        script = self.script()
        options = {
            "version_table": self.version_table,
            "fn": lambda current, _: script._upgrade_revs(self.head, current),
        }
        context = MigrationContext.configure(connection, opts=options)
        context.run_migrations(op=Operations(context))

    def _check_tables(self, connection: "Connection", name: str) -> None:
        """A database that is said to be at a revision is never looked at again: so look now.

        Raises:
            RuntimeError: the revisions did not make the tables; nothing of them is kept.
        """
        from sqlalchemy import inspect

        missing = self.tables.tables.keys() - set(inspect(connection).get_table_names())
        if missing:
            raise RuntimeError(
                f"{name}: revision {self.head} made no {', '.join(sorted(missing))}; nothing was"
                " changed"
            )


def _numbers(revision: str) -> tuple[int, ...]:
    """A revision's numbers; empty if it is no revision of Moodline."""
    try:
        return tuple(int(number) for number in revision.split("."))
    except ValueError:
        return ()


@contextmanager
def _alone(engine: "Engine", name: str) -> Iterator["Connection"]:
    """A transaction, one program at a time; it is committed when the block ends well."""
    from sqlalchemy import func, select, text

    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # Python's sqlite3 would begin no transaction for what changes tables.
            connection.execution_options(isolation_level="AUTOCOMMIT")
            with connection.begin():
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
        else:
            with connection.begin():
                connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
                connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(name))))
                yield connection
