"""The option `--window`: how far back a command looks."""

import re
from datetime import datetime, timedelta
from typing import Annotated

import typer

from components.base import InputError

Window = Annotated[str, typer.Option("--window", help="How far back: 30m, 24h, 7d; or all.")]

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def start_of(window: str, end: datetime) -> datetime | None:
    """When a window begins; None for all.

    Raises:
        InputError: it is no length of time.
    """
    if window == "all":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd])", window)
    if match is None:
        raise InputError(f"--window {window}: name a length as 30m, 24h or 7d, or all")
    try:
        return end - timedelta(**{_UNITS[match[2]]: float(match[1])})
    except OverflowError:
        raise InputError(
            f"--window {window}: would begin before the year 1; name a shorter one, or all"
        ) from None
