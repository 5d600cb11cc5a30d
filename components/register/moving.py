"""A registry in a SQLite file, with its files in a folder, as something that can be moved.

MLflow's database keeps the whole paths of the files.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from components.base import InputError, sqlite_path
from components.config import Settings
from components.tracking import MODEL

_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Where MLflow's database names places of files."""


def local_registry(settings: Settings) -> tuple[Path, Path | None] | None:
    """The registry's SQLite file, and the folder of its files; neither need be there yet.

    None: it is on a server. In place of the folder: its files are in an object store.
    """
    database, artifacts = sqlite_path(settings.mlflow_uri), settings.mlflow_artifacts
    if database is None:
        return None
    return database, None if "://" in artifacts else Path(artifacts)


def check_local_files(database: Path, folder: Path) -> None:
    """See that the files of all versions lie in a folder.

    Args:
        database: MLflow's, in SQLite.

    Raises:
        InputError: those of a version do not, or they are gone.
    """
    root = folder.resolve().as_uri()
    with closing(sqlite3.connect(database)) as opened:
        query = "SELECT version, COALESCE(storage_location, source) FROM model_versions"
        rows = opened.execute(f"{query} WHERE name = ? ORDER BY version", (MODEL,)).fetchall()
    for number, location in rows:
        if not location.startswith(f"{root}/"):
            raise InputError(
                f"version {number}: its files lie at {location}, not in {folder}; name the folder "
                "in MOODLINE_MLFLOW_ARTIFACTS"
            )


def move_local_files(database: Path, old: str, new: str) -> None:
    """Let a registry name its files below another folder.

    Args:
        database: MLflow's, in SQLite.
        old: URI of the folder that held them, `file:///…`.
        new: of the folder that holds them now.
    """
    with closing(sqlite3.connect(database)) as opened, opened:
        for table, column in _COLUMNS:
            opened.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
                f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )
