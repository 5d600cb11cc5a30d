"""`moodline trigger`: retraining that starts by itself, and what started it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column

from components.base import InputError, Unavailable, close_to_others, located
from components.config import Settings, load_profile
from pipelines.cli.console import note, out, print_json
from pipelines.cli.options import (
    CORPUS_ON_KUBEFLOW,
    DEMO_CORPUS,
    AsJson,
    Changes,
    Host,
    Port,
    ProfileName,
    Runner,
    cluster_profile,
)
from pipelines.cli.tables import plain_table

if TYPE_CHECKING:
    from pipelines.trigger import Trigger

_MIN_TOKEN = 16


def serve_command(
    host: Host = "127.0.0.1",
    port: Port = 3100,
    profile: ProfileName = "demo",
    changes: Changes = None,
    corpus: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="To retrain on, a folder or s3://bucket/path; on kubeflow, as its pods see it.",
        ),
    ] = None,
    data: Annotated[
        Path, typer.Option(help="The folder that new labelled data must lie in.")
    ] = Path(),
    runner: Annotated[Runner, typer.Option(help="Where runs start: local or kubeflow.")] = "local",
    promote: Annotated[
        bool, typer.Option("--promote", help="Into production, if the gate passes.")
    ] = False,
    cooldown: Annotated[float, typer.Option(min=0, help="Hours between two runs.")] = 6.0,
    daily: Annotated[int, typer.Option(min=0, help="Runs in any 24 hours.")] = 2,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Start nothing; write down what would have been.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Be up before the settings are whole; /readyz says what lacks."
        ),
    ] = False,
) -> None:
    """Start a retraining for each alert with retrain="true" and for new labelled data, once.

    Alertmanager posts to /v1/alerts; you post {"corpus": DIR} or {"feedback": DIR} to /v1/data. Who
    asks brings MOODLINE_TRIGGER_TOKEN (“Authorization: Bearer …”). Ctrl-C stops it; runs go on.
    """
    settings = Settings()
    close_to_others(settings.home)
    from pipelines.trigger import (
        Awaited,
        ClusterOutcomes,
        Gauges,
        build_app,
        data_cause,
        listening_socket,
        serve,
    )

    make = partial(
        _make_trigger, settings, runner=runner, profile=profile, changes=changes or (),
        corpus=corpus, promote=promote, policy=(timedelta(hours=cooldown), daily, dry_run),
    )  # fmt: skip
    awaited = Awaited(make, note)
    if wait:
        with suppress(Unavailable):
            awaited()
    else:
        awaited.now()  # a wrong setting is refused
    root = None if runner == "kubeflow" else data
    with listening_socket(host, port) as address:
        note(f"The trigger listens on http://{host}:{address.getsockname()[1]}")
        token = settings.trigger_token.get_secret_value() if settings.trigger_token else None
        outcomes = ClusterOutcomes(settings).exposition if runner == "kubeflow" else None
        read = partial(data_cause, root=root)
        gauges = Gauges(settings.metrics_location).files
        serve(build_app(awaited, token, read, gauges, outcomes), address)
    awaited.close()


def history_command(as_json: AsJson = False) -> None:
    """What came in, what was made of it, and the run it started."""
    from pipelines.trigger import Ledger

    ledger = Ledger(Settings().trigger_url)
    entries = ledger.entries()
    ledger.close()
    if as_json:
        return print_json([asdict(entry) for entry in entries])
    columns = ("nr", "when (UTC)", "kind", "name", "outcome", "why", "run")
    table = plain_table(*(Column(name, overflow="fold") for name in columns))
    for entry in entries:
        when = f"{entry.time:%Y-%m-%d %H:%M:%S}"
        cells = (entry.kind, entry.name, entry.outcome, entry.why, entry.run)
        table.add_row(str(entry.number), when, *cells)
    return out.print(table if entries else "Nothing has come in yet.")


def _make_trigger(
    settings: Settings,
    *,
    runner: Runner,
    profile: str,
    changes: Sequence[str],
    corpus: str | None,
    promote: bool,
    policy: tuple[timedelta, int, bool],
) -> "Trigger":
    """The trigger that these options ask for.

    Raises:
        InputError: one is wrong or missing.
        Unavailable: its database does not answer.
    """
    token = settings.trigger_token.get_secret_value() if settings.trigger_token else None
    cooldown, daily, dry_run = policy
    if token is None and not dry_run:
        raise InputError("set MOODLINE_TRIGGER_TOKEN, or anybody could start runs; or --dry-run")
    if token is not None and (len(token) < _MIN_TOKEN or not token.isascii()):
        raise InputError(f"MOODLINE_TRIGGER_TOKEN: take {_MIN_TOKEN} ASCII characters or more")
    if runner == "docker":
        raise InputError("--runner docker: the trigger starts runs locally or on kubeflow")
    from pipelines.runners.kfp_host import check_host_named
    from pipelines.runners.request import RetrainRequest
    from pipelines.trigger import (
        Ledger,
        Policy,
        Start,
        Trigger,
        nothing_new,
        resume_here,
        start_here,
        start_on_kubeflow,
    )

    on_cluster = runner == "kubeflow"
    if on_cluster and corpus is None:
        raise InputError(CORPUS_ON_KUBEFLOW)
    place = DEMO_CORPUS if corpus is None else located(corpus)
    usual = RetrainRequest(corpus=place, promote=promote, actor="trigger")
    load = cluster_profile if on_cluster else load_profile
    chosen = load(profile, changes)
    named = chosen.model_dump_json() if changes else profile
    if not on_cluster:
        start: Start = partial(start_here, usual=usual, profile=named, settings=settings)
        for folder in () if dry_run else resume_here(settings):
            note(f"{folder.name} had been cut off; it goes on where it stopped: {folder}")
        return Trigger(Ledger(settings.trigger_url), start, Policy(cooldown, daily, dry_run))
    check_host_named(settings)
    if "MOODLINE_FEEDBACK_URL" in chosen.cluster.variables:
        usual = replace(usual, feedback=Path("log"))
    else:
        note(
            "The steps have no MOODLINE_FEEDBACK_URL (cluster.secrets): what people corrected is"
            " not trained on."
        )
    news = partial(nothing_new, usual=usual, profile=chosen, settings=settings)
    start = partial(start_on_kubeflow, usual=usual, profile=chosen, settings=settings)
    return Trigger(Ledger(settings.trigger_url), start, Policy(cooldown, daily, dry_run), news)
