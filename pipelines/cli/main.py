"""`moodline`: every command, and what its end says (`ENDS`)."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from components.base import (
    MoodlineError,
    StepFailed,
    end_as_by_ctrl_c,
    end_quickly,
    is_disk_full,
    log_as_json,
    logs_are_json,
    masked,
)
from pipelines.cli import (
    conversations,
    corpora,
    demo,
    drift,
    experiment,
    keeping,
    lifecycle,
    model,
    prepared,
    pruning,
    registry,
    scores,
    speakers,
    traffic,
    trigger,
)
from pipelines.cli.console import note, quiet

ENDS = """Exit status 0: done. 1: a gate or check said no, or `batch` left out a recording that it
could not read. 2: the request or the input was wrong, in one line. 70: a fault of ours, with its
traceback. 130: stopped by Ctrl-C or SIGTERM."""

SHOWN_LINES = 20
"""How many of the last lines that a failed step printed are shown."""

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


def _group(purpose: str, **commands: Callable[..., Any]) -> typer.Typer:
    """Commands under one name."""
    group = typer.Typer(help=purpose, no_args_is_help=True)
    for name, command in commands.items():
        group.command(name)(command)
    return group


COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": demo.demo_command,
    "demo-loop": demo.demo_loop_command,
    "analyze": conversations.analyze_command,
    "transcribe": conversations.transcribe_command,
    "diarize": conversations.diarize_command,
    "align": conversations.align_command,
    "score": scores.score_command,
    "retrain": lifecycle.retrain_command,
    "train": model.train_command,
    "evaluate": model.evaluate_command,
    "register": model.register_command,
    "compile": lifecycle.compile_command,
    "serve": lifecycle.serve_command,
    "batch": lifecycle.batch_command,
    "experiment": experiment.experiment_command,
    "drift": drift.drift_command,
    "gate": registry.gate_command,
    "backup": keeping.backup_command,
    "restore": keeping.restore_command,
}
GROUPS = {
    "corpus": _group(
        "Labelled corpora: look at one, or make one of a published set of clips.",
        check=corpora.check_command,
        **{"import": corpora.import_command},
    ),
    "feedback": _group(
        "What people said of the answers.",
        export=traffic.export_feedback_command,
        show=traffic.show_feedback_command,
        review=traffic.review_feedback_command,
        drop=traffic.drop_feedback_command,
    ),
    "log": _group(
        "The prediction log.", export=traffic.export_log_command, erase=traffic.erase_command
    ),
    "speakers": _group(
        "Voice prints that the service keeps of people who agreed to it.",
        list=speakers.list_command,
        erase=speakers.erase_command,
    ),
    "models": _group(
        "Prepared models: what speech models and encoders are loaded from.",
        fetch=prepared.fetch_command,
        list=prepared.list_command,
    ),
    "trigger": _group(
        "Retraining that starts by itself, and what started it.",
        serve=trigger.serve_command,
        history=trigger.history_command,
    ),
    "registry": _group(
        "The registered versions; what is in production, since when and why; and back.",
        list=registry.list_command,
        show=registry.show_command,
        promote=registry.promote_command,
        rollback=registry.rollback_command,
        history=registry.history_command,
        sign=registry.sign_command,
        key=registry.key_command,
        prune=pruning.prune_registry_command,
    ),
    "runs": _group("What local runs left.", prune=pruning.prune_runs_command),
}

for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
for _name, _commands in GROUPS.items():
    app.add_typer(_commands, name=_name)


def main() -> None:
    """Run the command line and exit with its status; SIGTERM is taken as Ctrl-C is."""
    end_as_by_ctrl_c()
    end_quickly()
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    if logs_are_json():
        log_as_json(logging.ERROR)
    try:
        status = app(arguments, standalone_mode=False)
        return status if isinstance(status, int) else 0
    except TyperException as error:
        # A wrong request, or none at all, which typer answers with the help.
        message = " ".join(error.format_message().split())
        if message:
            note(f"moodline: {message} (see --help)", logging.ERROR)
        return 2
    except typer.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        note("moodline: stopped")
        return 130
    except (BrokenPipeError, SystemExit):
        # The reader went away (`moodline … | head`), for rich an exit: nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _report(error)


def _report(error: Exception) -> int:
    """Print an expected failure as one line, any other with its traceback; the exit status."""
    if isinstance(error, StepFailed):
        for line in error.tail[-SHOWN_LINES:]:
            note(f"  {line.strip()}", logging.ERROR)
    if isinstance(error, MoodlineError):
        note(masked(f"moodline: {error}"), logging.ERROR)
        return error.exit_status
    if is_disk_full(error):
        told = f"moodline: the disk is full ({error}); free some space and start again"
        note(told, logging.ERROR)
        return 2
    # Commands look for the files they are given, so a file that is missing here is a fault.
    if isinstance(error, OSError) and error.filename and not isinstance(error, FileNotFoundError):
        note(f"moodline: {error.filename}: {str(error.strerror).lower()}", logging.ERROR)
        return 2
    if logs_are_json():
        logging.getLogger("moodline").error("%s: %s", type(error).__name__, error, exc_info=error)
    else:
        sys.stderr.write(masked("".join(traceback.format_exception(error))))
    told = "moodline: this is a fault in Moodline; please report it with the lines above"
    note(told, logging.ERROR)
    return 70
