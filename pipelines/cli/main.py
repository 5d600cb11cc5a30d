"""`moodline`: every command, and what its end says (`ENDS`)."""

import errno
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from components.base import InputError, Unavailable
from components.register import Refused
from pipelines.cli import (
    batch,
    conversations,
    demo,
    demo_loop,
    drift,
    experiment,
    feedback,
    gate,
    lifecycle,
    registry,
    scores,
    trigger,
)
from pipelines.cli.console import note, quiet
from pipelines.runners.steps import StepFailed

ENDS = """Exit status 0: done. 1: a gate or check said no. 2: the request or the input was wrong, in
one line. 70: a fault of ours, with its traceback. 130: stopped by Ctrl-C or SIGTERM."""

_SHOWN_LINES = 20  # of what a step that failed printed

_FULL = {errno.ENOSPC, errno.EDQUOT}

# What the system says of a file that the user named or a place that a setting names. A file that
# is missing is not among it: each command looks for those it was given.
_OF_THE_MACHINE = _FULL | {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.EBUSY,  # a file that is mounted by itself cannot be replaced
    errno.ENXIO,  # a socket
}

app = typer.Typer(
    name="moodline",
    help="Who said what, when, and with which emotion.",
    epilog=ENDS,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


@app.callback()
def main_options(
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show what the libraries say.")
    ] = False,
) -> None:
    """Who said what, when, and with which emotion.

    A recorded conversation goes in; speaker turns with an emotion on each come out. Start with
    `moodline demo`. Where things lie is set by MOODLINE_* in the environment.
    """
    quiet(verbose)


demo.add_to(app)
demo_loop.add_to(app)
conversations.add_to(app)
scores.add_to(app)
lifecycle.add_to(app)
batch.add_to(app)
experiment.add_to(app)
drift.add_to(app)
feedback.add_to(app)
gate.add_to(app)
trigger.add_to(app)
app.add_typer(registry.app, name="registry")


def main() -> None:
    """Run the command line and exit with its status; SIGTERM is taken as Ctrl-C is."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by `>&-`
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 (to the end)
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    try:
        status = app(arguments, standalone_mode=False)
        return status if isinstance(status, int) else 0
    except TyperException as error:
        # A wrong request, or none at all, which typer answers with the help.
        message = " ".join(error.format_message().split())
        if message:
            note(f"moodline: {message} (see --help)")
        return 2
    except typer.Exit as error:
        return error.exit_code
    except (InputError, Unavailable) as error:
        note(f"moodline: {error}")
        return 2
    except Refused as error:
        note(f"moodline: {error}")
        return 1
    except StepFailed as error:
        for line in error.tail[-_SHOWN_LINES:]:
            note(f"  {line.strip()}")
        note(f"moodline: {error}")
        return 70
    except (KeyboardInterrupt, typer.Abort):
        note("moodline: stopped")
        return 130
    except (BrokenPipeError, SystemExit):
        # The reader went away (`moodline … | head`), for rich an exit: nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            note(f"moodline: {_in_words(error)}")
            return 2
        traceback.print_exc()
        note("moodline: this is a fault in Moodline; please report it with the lines above")
        return 70


def _in_words(error: OSError) -> str:
    if error.errno in _FULL:
        return f"the disk is full ({error}); free some space and start again"
    said = str(error.strerror).lower()
    return f"{error.filename}: {said}" if error.filename else said
