"""`moodline corpus`: what is in a labelled corpus, and a published set as one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from components.base import InputError
from components.config import Settings, load_profile
from pipelines.cli.console import bar, note, out, print_json
from pipelines.cli.options import AsJson, Changes
from pipelines.cli.tables import facts_table, plain_table, right

SHOWN = 20
"""How many values of one fact a line shows: a corpus may have thousands of speakers."""

SETS = "ravdess|crema-d|emo-db|tess|savee|esd|meld|nemo|msp-podcast|emobox"


def check_command(
    place: Annotated[
        str,
        typer.Argument(
            metavar="PLACE",
            help="A corpus, IEMOCAP's layout or a manifest: a folder, or s3://bucket/path.",
        ),
    ],
    as_json: AsJson = False,
    profile: Annotated[
        str, typer.Option("--profile", help="Whose labels it is to be trained with, too.")
    ] = "",
    changes: Changes = None,
) -> None:
    """Read a whole corpus and say what is in it, or what is wrong with it.

    With a profile, utterances are counted by what its labels make of them, and a label that it
    does not know is refused. Exit status 1: it can be read, and something in it is odd; 2: it
    cannot.
    """
    from components.corpus import check_corpus

    if changes and not profile:
        raise InputError("--set: changes a profile; name it by --profile")
    labels = load_profile(profile, changes or ()) if profile else None
    with bar("reading") as progress:
        report = asdict(check_corpus(place, progress, Settings().finished, labels))
    emotions = report["emotions"]
    others = [name for name in emotions if labels and name not in labels.labels]
    if others:
        counted = ", ".join(f"{name} {emotions[name]}" for name in others)
        said = f"moodline: not trained on and not scored: {counted}"
        note(f"{said} (to change that: labels or label_map in the profile)")
    for line in report["findings"]:
        note(line)
    if as_json:
        print_json(report)
    else:
        hidden = ("findings", "parts")
        facts = {name: _shown(value) for name, value in report.items() if name not in hidden}
        out.print(facts_table(facts))
        out.print()
        out.print(_parts_table(report["parts"], list(report["emotions"])))
    raise typer.Exit(bool(report["findings"]))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        shown = [f"{key} {count}" for key, count in list(value.items())[:SHOWN]]
        more = len(value) - SHOWN
        return ", ".join([*shown, f"and {more:,} more"] if more > 0 else shown)
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _parts_table(parts: Sequence[Mapping[str, Any]], emotions: Sequence[str]) -> Table:
    """Utterances of each label by set, language and fold."""
    table = plain_table("set", "language", "fold", *right(*emotions, "all"))
    for part in parts:
        counts = [part["emotions"].get(emotion, 0) for emotion in emotions]
        cells = (part["set"], part["language"], part["fold"], *map(str, (*counts, sum(counts))))
        table.add_row(*cells)
    return table


def import_command(
    name: Annotated[str, typer.Argument(metavar=SETS, help="Which set it is.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The set, unpacked.")],
    output: Annotated[
        Path,
        typer.Option("-o", metavar="OUT", help="A new folder for manifest.jsonl, or ….jsonl."),
    ],
    partial: Annotated[
        bool, typer.Option("--partial", help="Take what is there and can be read.")
    ] = False,
    listen: Annotated[
        bool, typer.Option("--listen", help="Decode every clip; refuse damaged and silent ones.")
    ] = False,
) -> None:
    """Write a manifest of a published set of clips. Its sound stays where it is, untouched.

    A clip becomes a recording of one utterance, with speaker, sex, language, licence, and the set's
    usual fold. Lengths come from the files' headers. Exit status 2: files are missing, or are not
    the set's.
    """
    from components.corpus.sets import import_set

    with bar("importing") as progress:
        done = import_set(name, folder, output, partial=partial, listen=listen, progress=progress)
    for line in done.notes:
        note(line)
    note(f"{done.manifest}: {done.recordings:,} recordings; next: moodline corpus check {output}")
