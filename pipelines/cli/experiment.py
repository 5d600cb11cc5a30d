"""`moodline experiment`: the paper's tables, on any corpus."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.text import Text

from components.base import InputError
from components.config import Profile, Settings
from pipelines.cli.console import bars, file_option, note, out, print_json, stdout_taken
from pipelines.cli.options import DEMO_CORPUS, Changes, ProfileName, profile_and_settings
from pipelines.cli.tables import plain_table, right

if TYPE_CHECKING:
    from pipelines.experiments import Results
    from pipelines.experiments.turns import StageProgress

Experiment = Literal["table1", "table2", "table3", "table4", "boundaries", "transfer", "all"]


def experiment_command(
    name: Annotated[
        Experiment,
        typer.Argument(
            help="One of the paper's tables, or all of them; boundaries: sound alone against true"
            " boundaries, frozen encoders; transfer: train on one corpus, test on the others."
        ),
    ],
    corpora: Annotated[
        list[str] | None,
        typer.Argument(help="Of transfer: two corpora or more, folders or manifests."),
    ] = None,
    profile: ProfileName = "demo",
    changes: Changes = None,
    corpus: Annotated[
        Path, typer.Option(help="IEMOCAP's layout or a manifest; default: the demo's.")
    ] = DEMO_CORPUS,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="In place of the profile's number.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All numbers as JSON.")] = False,
    output: Annotated[
        Path | None, file_option("Where the HTML report goes (`all` writes one).")
    ] = None,
) -> None:
    """The paper's experiments: each fold left out in turn, every system on the same utterances.

    What is done is kept: a second run, a run for another table, and a run that was killed go on
    from there.

    `transfer` takes turns from sound alone; with true boundaries by `--set segmentation=reference`.
    """
    from components.corpus import check_corpus, read_corpus

    taken = stdout_taken(as_json, output)
    if name == "transfer":
        return transfer(corpora or [], profile, changes, seeds, as_json, output)
    if corpora:
        raise InputError(f"{corpora[0]}: {name} takes one corpus, by --corpus")
    chosen, settings = _seeded(profile, changes, seeds)
    recordings, report = read_corpus(corpus, labels=chosen), check_corpus(corpus, labels=chosen)
    from pipelines.experiments import run_experiment
    from pipelines.experiments.protocol import check_folds
    from pipelines.experiments.report import experiment_page

    check_folds(recordings, chosen.labels)
    for finding in report.findings:
        note(f"moodline: {corpus}: {finding}")
    _warn_without_gpu(chosen)
    with _bars() as progress, tempfile.TemporaryDirectory(prefix="moodline-") as work:
        results = run_experiment(
            name, recordings, chosen, settings, Path(work), progress, synthetic=report.synthetic
        )
    if as_json:
        print_json(to_json(results))
    elif not taken:
        show(results)
    if output is None and name == "all":
        about = results.about
        report_name = f"{about['profile']}-{about['corpus'][:8]}.html"
        output = settings.home / "experiments" / report_name
    if output is not None:
        from components.evaluate import write_text

        write_text(output, experiment_page(results))
        note(f"Report: {output}")


def transfer(
    places: Sequence[str],
    profile: str,
    changes: Sequence[str] | None,
    seeds: int | None,
    as_json: bool,
    output: Path | None,
) -> None:
    """Train on each of several corpora, test on the others, and show the matrix."""
    from components.corpus import check_corpus, read_corpus

    chosen, settings = _seeded(profile, changes, seeds)
    names = _short_names(places)
    corpora = {
        name: (read_corpus(place, settings.finished, chosen), check_corpus(place).synthetic)
        for name, place in zip(names, places, strict=True)
    }
    from pipelines.experiments.transfer import Corpus, run_transfer
    from pipelines.experiments.transfer_page import transfer_page, transfer_tables

    _warn_without_gpu(chosen)
    with _bars() as progress, tempfile.TemporaryDirectory(prefix="moodline-") as work:
        matrix = run_transfer(
            [Corpus(name, *content) for name, content in corpora.items()],
            chosen,
            settings,
            Path(work),
            progress,
        )
    if as_json:
        print_json(matrix.to_json())
    elif not stdout_taken(as_json, output):
        from components.reporting.page import NOTICE

        for table in transfer_tables(matrix):
            _print_table(table.title, table.columns, table.rows)
            for remark in table.notes:
                out.print(f"  · {remark}", style="dim", markup=False)
        out.print(NOTICE, style="dim")
    if output is not None:
        from components.evaluate import write_text

        write_text(output, transfer_page(matrix))
        note(f"Report: {output}")


def _short_names(places: Sequence[str]) -> list[str]:
    """Each corpus by its folder's name, or by its whole place where two folders share a name."""
    parts = [
        PurePosixPath(place.removesuffix("/").removesuffix("/manifest.jsonl")) for place in places
    ]
    short = [part.stem if part.suffix == ".jsonl" else part.name for part in parts]
    return [
        name if name and short.count(name) == 1 else place
        for name, place in zip(short, places, strict=True)
    ]


def _seeded(
    profile: str, changes: Sequence[str] | None, seeds: int | None
) -> tuple[Profile, Settings]:
    chosen, settings = profile_and_settings(profile, changes)
    if seeds is not None:
        several = chosen.experiment.model_copy(update={"seeds": seeds})
        chosen = chosen.model_copy(update={"experiment": several})
    return chosen, settings


def to_json(results: "Results") -> dict[str, Any]:
    """All numbers of an experiment."""
    from pipelines.experiments import tables
    from pipelines.experiments.explain import by_fault, count_faults

    return {
        **results.about,
        "tables": {name: asdict(table) for name, table in tables(results).items()},
        "systems": {
            system.name: {**result.numbers, "by_fault": by_fault(results, system)}
            for system, result in results.systems.items()
        },
        "comparisons": [
            {"first": first.name, "second": second.name, **tests}
            for (first, second), tests in results.comparisons.items()
        ],
        "faults": count_faults(results),
    }


def show(results: "Results") -> None:
    """Print the tables, and what their differences mean."""
    from components.reporting.page import NOTICE, interval, signed
    from pipelines.experiments import tables
    from pipelines.experiments.explain import differences

    about = results.about
    if about["synthetic"]:
        warning = (
            "Synthetic speech: these numbers show that the system works; they say nothing about"
            " real people."
        )
        out.print(warning, style="yellow", soft_wrap=True)
    out.print(
        f"{about['recordings']} recordings in {len(about['folds'])} folds, {about['utterances']}"
        f" scored utterances ({about['unscored_utterances']} of other emotions are not scored),"
        f" {len(about['seeds'])} seed{'s' if len(about['seeds']) > 1 else ''}, profile"
        f" {about['profile']}",
        soft_wrap=True,
    )
    for table in tables(results).values():
        _print_table(table.title, table.columns, table.rows)
        for remark in table.notes:
            out.print(f"  · {remark}", style="dim", markup=False)
    rows = [
        (row["systems"], row["rate"], f"{signed(row['difference'])} [{interval(row['interval'])}]",
         f"{row['p_value']:.3f}", "within noise" if row["noise"] else "more than noise")
        for row in differences(results)
    ]  # fmt: skip
    if rows:
        columns = ("Difference", "", "points [95 %]", "p", "")
        _print_table("Differences between systems", columns, rows)
    out.print(NOTICE, style="dim")


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = plain_table(columns[0], *right(*columns[1:]))
    table.title, table.title_justify = title, "left"
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out.print("")
    out.print(table)


def _warn_without_gpu(profile: Profile) -> None:
    """Half precision is what a profile for a GPU asks for."""
    import torch

    if profile.transcribe.compute_type == "float16" and not torch.cuda.is_available():
        note(
            f"moodline: the profile {profile.name} is made for a GPU, and there is none: this will"
            " take days; what is done is kept, so it can be stopped and go on elsewhere"
        )


@contextmanager
def _bars() -> "Iterator[StageProgress]":
    """Progress on standard error: the units of work, and what is being done."""
    with bars() as progress:
        whole = progress.add_task("units of work", total=None, visible=False)
        current = progress.add_task("", total=None)

        def update(what: str, done: int, total: int) -> None:
            task = whole if what == "units of work" else current
            progress.update(task, description=what, completed=done, total=total, visible=True)

        yield update
