"""Addresses of servers and databases: a password in one is never shown, a wrong one is one line."""

import re
from urllib.parse import urlsplit

_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):[^\s]*@")
"""From the user's name to the last @: a password may hold any sign, even where it should not."""


def masked(text: str) -> str:
    """A text in which the addresses have no password any more.

    >>> masked("htp://bob:s3cr@t@host/x is away")
    'htp://bob:…@host/x is away'
    """
    return _PASSWORD.sub(r"\1:…@", text)


def database_address(url: str) -> str:
    """A database's URL as SQLAlchemy takes it, with the driver that is installed.

    Raises:
        ValueError: it is no such URL, or no driver for it is installed; the message is one line.
    """
    # SQLAlchemy takes another driver for PostgreSQL than the one that is installed.
    url = re.sub("^postgres(ql)?://", "postgresql+psycopg2://", url)
    if url.startswith("sqlite:"):
        return url
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        make_url(url).get_dialect().import_dbapi()
    except (NoSuchModuleError, ImportError):
        kind = url.partition(":")[0][:40]
        raise ValueError(f"no driver for {kind} is installed; use postgresql://…") from None
    except (ArgumentError, ValueError):
        raise ValueError("is no database; an example: postgresql://user@host/name") from None
    return url


def server_address(url: str) -> str:
    """The address of an HTTP server.

    Raises:
        ValueError: it is none; the message is one line.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # a wrong one is found when it is asked for
    except ValueError as error:
        raise ValueError(f"is no address: {str(error).lower()}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is no address; an example: http://127.0.0.1:5000")
    return url
