"""A database in SQLite, used by several programs at once."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

from components.base import Database

COUNT = """
import sys
from components.base import Database

database = Database(sys.argv[1], "its")
with database.begin() as connection:
    print(connection.exec_driver_sql("SELECT count(*) FROM said").scalar())
database.close()
"""


def test_a_program_that_ends_takes_no_rows_of_one_that_goes_on(tmp_path: Path) -> None:
    """In the service log and feedback use one file each for itself; a command reads it and ends."""
    url = f"sqlite:///{tmp_path}/its.db"

    def seen_by_a_command() -> int:
        command = [sys.executable, "-c", COUNT, url]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    with closing(Database(url, "one's")) as one, closing(Database(url, "another's")) as other:
        with one.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE said (what TEXT)")
            connection.exec_driver_sql("INSERT INTO said VALUES ('before')")
        with other.begin() as connection:
            connection.exec_driver_sql("INSERT INTO said VALUES ('before')")
        assert seen_by_a_command() == 2
        for database in (one, other):
            with database.begin() as connection:
                connection.exec_driver_sql("INSERT INTO said VALUES ('after')")
        assert seen_by_a_command() == 4
    assert seen_by_a_command() == 4
