"""Databases come to their tables by revisions: new, older and newer ones; all at once."""

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from components.base import Database, InputError, Schema, database_address
from components.conversation import DEFAULT_LABELS
from components.retrainings import SCHEMA as TRIGGER
from components.traffic.tables import SCHEMA as TRAFFIC
from serving.api import job_store, rate_limit
from serving.database import SCHEMA as SERVICE
from serving.supervisor.leases import SCHEMA as LEADERSHIP
from serving.voices import SCHEMA as VOICES

SCHEMAS = (TRAFFIC, SERVICE, TRIGGER, LEADERSHIP, VOICES)
assert job_store.JOBS.metadata is rate_limit.USES.metadata is SERVICE.tables

FIRST = """
import sqlalchemy as sa

revision = "1.1"
down_revision = None


def upgrade(op):
    op.create_table("cows", sa.Column("id", sa.Integer, primary_key=True))
"""
SECOND = """
import sqlalchemy as sa

revision = "1.2"
down_revision = "1.1"


def upgrade(op):
    op.add_column("cows", sa.Column("name", sa.Text))
    op.create_table("sheep", sa.Column("id", sa.Integer, primary_key=True))
    {then}
"""
OPENER = """
import sys
from components.base import Database
from components.traffic.tables import SCHEMA

sys.stdin.read()  # until all are ready
Database(sys.argv[1], "the feedback's", SCHEMA).open()
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/some.db"
    make: Callable[[str], str] = request.getfixturevalue("database")
    return database_address(make(f"schema-{uuid.uuid4().hex[:8]}"))


def revisions(folder: Path, head: str, **later: str) -> Schema:
    """A schema of one or more revisions."""
    folder.mkdir(exist_ok=True)
    for name, text in {"v1_1": FIRST, **later}.items():
        (folder / f"{name}.py").write_text(text)
    return Schema("farm", sa.MetaData(), folder, head)


def opened(url: str, schema: Schema) -> tuple[set[str], str | None]:
    """Open a database; its tables, and its revision."""
    database = Database(url, "the farm's", schema)
    with closing(database), database.open().connect() as connection:
        return set(sa.inspect(connection).get_table_names()), schema.revision(connection)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_the_revisions_make_the_tables_that_the_code_knows(url: str, schema: Schema) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    assert schema.script().get_heads() == [schema.head]
    database = Database(url, "its", schema)
    with closing(database), database.open().connect() as connection:
        options = {"version_table": schema.version_table, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.tables) == []


def test_a_database_from_before_there_were_revisions_keeps_its_rows(url: str) -> None:
    """Feedback of version 0.1: its table lacks three columns, and other tables are not there."""
    before = sa.MetaData()
    later = ("voter", "accepted", "labels")
    columns = (c for c in TRAFFIC.tables.tables["moodline_feedback"].columns if c.name not in later)
    table = sa.Table("moodline_feedback", before, *(column._copy() for column in columns))
    engine = sa.create_engine(url)
    before.create_all(engine)
    row = {
        column.name: sa.func.current_timestamp()
        if isinstance(column.type, sa.DateTime)
        else 1
        if isinstance(column.type, sa.Integer | sa.Float)
        else "said"
        for column in table.columns
    }
    with engine.begin() as connection:
        connection.execute(sa.insert(table).values(row))
    engine.dispose()
    for _ in range(2):
        tables, revision = opened(url, TRAFFIC)
        assert {*TRAFFIC.tables.tables} < tables and revision == TRAFFIC.head
    with closing(Database(url, "its", TRAFFIC)) as database, database.begin() as connection:
        now = connection.execute(sa.select(TRAFFIC.tables.tables["moodline_feedback"])).one()
    assert (now.author, now.voter, now.accepted) == ("said", None, None)
    assert now.labels == DEFAULT_LABELS


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        opened(f"sqlite:///{tmp_path}/some.db", TRIGGER)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_schemas_share_a_database(url: str) -> None:
    for schema in SCHEMAS:
        assert opened(url, schema)[1] == schema.head
    tables, _ = opened(url, TRIGGER)
    assert {name for schema in SCHEMAS for name in schema.tables.tables} < tables


def test_programs_that_start_together_make_the_tables_once(url: str) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    for process in started:
        assert process.stderr is not None
        assert (process.wait(60), process.stderr.read()) == (0, "")
        process.stderr.close()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT * FROM {TRAFFIC.version_table}").all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [(TRAFFIC.head,)]


def test_threads_that_open_databases_at_once_make_the_tables_of_each(tmp_path: Path) -> None:
    """As a service does: its jobs' threads open one database, the first feedback another one."""
    opened(f"sqlite:///{tmp_path}/before.db", TRIGGER)  # Alembic is loaded
    with ThreadPoolExecutor(len(SCHEMAS)) as threads:
        for number in range(10):
            together = threading.Barrier(len(SCHEMAS))

            def open_with_others(
                schema: Schema, number: int = number, together: threading.Barrier = together
            ) -> set[str]:
                together.wait(30)
                return opened(f"sqlite:///{tmp_path}/{schema.name}-{number}.db", schema)[0]

            made = threads.map(open_with_others, SCHEMAS)
            for schema, tables in zip(SCHEMAS, made, strict=True):
                assert {*schema.tables.tables, schema.version_table} == tables


def test_revisions_that_do_not_make_their_tables_are_not_taken_for_run(
    url: str, tmp_path: Path
) -> None:
    farm = revisions(tmp_path / "farm", "1.1")
    sa.Table("geese", farm.tables, sa.Column("id", sa.Integer))
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"the farm's database: revision 1\.1 made no geese"):
            opened(url, farm)


def test_a_revision_that_fails_changes_nothing_and_is_run_again(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened(url, revisions(tmp_path / "farm", "1.1"))
    broken = SECOND.format(then="raise RuntimeError('killed here')")
    with pytest.raises(RuntimeError, match="killed here"):
        opened(url, revisions(tmp_path / "farm", "1.2", v1_2=broken))
    tables, revision = opened(url, revisions(tmp_path / "farm", "1.1", v1_2=broken))
    assert ("sheep" in tables, revision) == (False, "1.1")
    tables, revision = opened(
        url, revisions(tmp_path / "other", "1.2", v1_2=SECOND.format(then=""))
    )
    assert ("sheep" in tables, revision) == (True, "1.2")
    assert "the farm's database: its tables went from revision 1.1 to 1.2" in caplog.text


def test_a_newer_database_is_used_if_it_only_has_more_in_it(url: str, tmp_path: Path) -> None:
    """While a deployment is rolled out, old pods may start anew beside new ones."""
    older = revisions(tmp_path / "older", "1.1")
    newer = revisions(tmp_path / "newer", "1.2", v1_2=SECOND.format(then=""))
    third = SECOND.replace('"1.1"', '"1.2"').replace('"1.2"\ndown', '"2.1"\ndown')
    third = third.replace('"name"', '"kind"').replace("sheep", "pigs").format(then="")
    other = revisions(tmp_path / "other", "2.1", v1_2=SECOND.format(then=""), v2_1=third)
    assert opened(url, newer)[1] == "1.2"
    assert opened(url, older)[1] == "1.2"
    assert opened(url, other)[1] == "2.1"
    for schema in (older, newer):
        with pytest.raises(InputError, match=r"the farm's database: is of a newer Moodline .* 2.1"):
            opened(url, schema)
