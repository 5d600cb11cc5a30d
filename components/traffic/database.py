"""A database named by a URL, for what several processes write."""

from pathlib import Path
from typing import TYPE_CHECKING

from components.conversation import InputError

if TYPE_CHECKING:
    from sqlalchemy import Engine


def open_database(url: str, whose: str) -> "Engine":
    """A database; SQLite's file and its folder are made when first needed.

    Args:
        url: SQLAlchemy's.
        whose: for the error's line.

    Raises:
        InputError: it is no such URL, or its driver is not installed.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        address = make_url(url)
        if address.get_backend_name() == "sqlite" and address.database:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        return create_engine(address, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise InputError(f"{whose} database: {error}") from None
