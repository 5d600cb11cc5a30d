"""What every command shares: results to standard output, everything else to standard error."""

import getpass
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.status import Status

from components.base import STDOUT, InputError, Location, check_writable, located, logs_are_json

# Through a pipe, lines are not broken at the usual 80 columns of a terminal.
_WIDTHS = [None if stream.isatty() else 160 for stream in (sys.stdout, sys.stderr)]
out = Console(highlight=False, width=_WIDTHS[0])
err = Console(stderr=True, highlight=False, width=_WIDTHS[1])


def quiet(verbose: bool) -> None:
    """Silence the libraries, and keep them off the network.

    `profile_and_settings` lets the hub be reached where a profile names models there.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Threads that wait for work sleep instead of spinning: several models share the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Large arrays take pages of 2 MB, also where transparent huge pages are set to madvise; in the
    # processes that are started from here, for the C library reads this when a process begins.
    os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    level = logging.INFO if verbose else logging.ERROR
    if logs_are_json():
        logging.root.setLevel(level)
    else:
        logging.basicConfig(level=level, format="%(levelname).1s %(name)s: %(message)s")
    if not verbose:
        warnings.simplefilter("ignore")


def file_option(help_text: str, name: str = "-o") -> Any:
    """An option that names a file to write; it is checked before any work."""
    shown = f"{help_text.rstrip('.')}; - is standard output."
    return typer.Option(name, help=shown, callback=_checked)


def place_option(help_text: str, name: str = "-o") -> Any:
    """As `file_option`; the file may also be one of an object store: s3://bucket/path."""
    shown = f"{help_text.rstrip('.')}: a file, or s3://bucket/path; - is standard output."
    return typer.Option(name, metavar="PLACE", help=shown, callback=_checked_place)


def _checked_place(place: str | None) -> str | None:
    if place is not None and isinstance(located(place), Path):
        return str(_checked(Path(place)))
    return place


def _checked(path: Path | None) -> Path | None:
    if path is None:
        return None
    path = STDOUT if path == Path("-") else path
    check_writable(path)
    return path


def user_name() -> str:
    """Who runs this: the login name; in a container that has none for its number, `uid 10001`."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError: from Python 3.13 on
        return f"uid {os.getuid()}"


def stdout_taken(as_json: bool, *files: Location | None) -> bool:
    """Whether JSON or a file goes to standard output, so that nothing else may.

    Raises:
        InputError: two of them do.
    """
    takers = [STDOUT if as_json else None, *files].count(STDOUT)
    if takers > 1:
        raise InputError("standard output can take one thing: name a file, or leave out --json")
    return takers == 1


def bars() -> Progress:
    """Progress bars on standard error that vanish at the end."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,  # at its end it prints an empty line where there is none
    )


@contextmanager
def bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, and the function that moves it: (done, total)."""
    with bars() as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def note(text: object, level: int = logging.INFO) -> None:
    """Print one line on standard error; line breaks in the names of files are escaped.

    Args:
        level: of the line, where logs are JSON.
    """
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)
    )
    if logs_are_json():
        logging.getLogger("moodline").log(level, "%s", shown)
    else:
        err.print(shown, markup=False, soft_wrap=True)


def spinner(label: str) -> Status:
    """Show on standard error that something is going on."""
    return err.status(label)


def title(text: str) -> None:
    """Print the heading of a demo's next step."""
    out.print(f"\n{text}", style="bold")


def print_json(value: Any) -> None:
    """Print a result as JSON on standard output."""
    out.print_json(json.dumps(value, ensure_ascii=False, default=str))
