"""`moodline log` and `moodline feedback`: what the service keeps, taken out, erased, counted."""

from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from components.base import InputError, check_new_folder, check_writable, in_utc
from components.config import Settings
from pipelines.cli.console import note, out, print_json, spinner
from pipelines.cli.options import AsJson, Window, start_of
from pipelines.cli.tables import plain_table, right

if TYPE_CHECKING:
    from components.traffic import Feedback, FeedbackStore


def export_log_command(
    output: Annotated[Path, typer.Option("-o", help="A file ….parquet, or a new folder.")],
    window: Window = "all",
    as_json: AsJson = False,
) -> None:
    """Write the logged turns as Parquet, which pandas and DuckDB read.

    A folder holds turns/day=…/turns.parquet. `moodline drift --log` reads it, too.
    """
    from components.traffic import TurnLog, export_log

    if output.suffix == ".parquet":
        check_writable(output)
    else:
        check_new_folder(output)
    settings, now = Settings(), datetime.now(UTC)
    since = start_of(window, now)
    with (
        closing(TurnLog(settings.log_location, settings.feedback_url)) as log,
        spinner("exporting"),
    ):
        rows = export_log(log, output, since, now)
    if as_json:
        return print_json({"path": str(output), "rows": rows})
    return out.print(f"{output}: {rows} rows", markup=False)


def erase_command(
    recording: Annotated[
        str, typer.Argument(help="The turns' session_id, or the name of the file that was sent.")
    ],
    owner: Annotated[
        str, typer.Option("--owner", help="The name of the API key it was sent with, if one was.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Erase a recording: jobs, turns, sound, feedback, copies of retrainings, what is under way.

    Recordings of two API keys are two, whatever their names: of one that came with a key only
    `--owner` finds anything. What you exported is a copy: see to it yourself. Exit status 2:
    nothing is kept of such a recording.
    """
    from components.traffic import Copies, TurnLog, artifacts_of
    from serving.api.erasure import erase_recording
    from serving.api.job_store import JobStore
    from serving.api.uploads import UploadFolder
    from serving.database import ServiceDatabase
    from serving.settings import ServeSettings

    settings, serve = Settings(), ServeSettings()
    copies = Copies(settings.runs, settings.cache, artifacts_of(settings.pipeline_root))
    uploads = UploadFolder(serve.shared_folder(settings.home))
    with ExitStack() as stack:
        store = stack.enter_context(closing(ServiceDatabase(serve.store_url(settings.home))))
        log = stack.enter_context(closing(TurnLog(settings.log_location, settings.feedback_url)))
        done = erase_recording(recording, owner, log, JobStore(store), uploads, copies)
    if not done:
        hint = f" and the owner {owner}" if owner else "; one sent with an API key needs --owner"
        raise InputError(f"{recording}: nothing is kept of a recording of that name{hint}")
    counts = done.counts()
    if as_json:
        return print_json({"recording": next(iter(done.recordings), None), **counts})
    what = "{logged} turns and sound files, {feedback} entries of feedback, {jobs} jobs, {copies}"
    out.print(f"Erased: {what.format(**counts)} copies of retrainings.")
    if not settings.pipeline_root and (settings.log_store or settings.kfp_host):
        note("Not looked at: artifacts of a cluster's pipelines (set MOODLINE_PIPELINE_ROOT)")
    if counts["under_way"]:
        note(f"{counts['under_way']} analyses are under way; nothing of them will be kept")
    return None


def export_feedback_command(
    output: Annotated[Path, typer.Option("-o", help="A new folder for the corpus.")],
    as_json: AsJson = False,
) -> None:
    """The labelled turns as a corpus, for `moodline retrain --feedback`. Only ever trained on.

    Only recordings whose sound was kept can be exported (MOODLINE_LOG_AUDIO).
    """
    from components.traffic import FeedbackStore, export_feedback

    check_new_folder(output)
    settings = Settings()
    entries, limit = FeedbackStore.read(settings.feedback_url), settings.feedback_contradictions
    done = export_feedback(entries, settings.log_location, output, limit=limit)
    if as_json:
        return print_json(asdict(done))
    exported = f"{done.turns} labelled turns of {done.recordings} recordings"
    out.print(f"{output}: {exported}", markup=False)
    if done.held:
        note(f"{done.held} entries are held for a person: moodline feedback review")
    if done.without_audio:
        note(f"{done.without_audio} labelled turns were left out: their sound was not kept")
    return None


def show_feedback_command(as_json: AsJson = False) -> None:
    """How much feedback there is, and how right the model was, by version."""
    from components.drift import live_scores
    from components.traffic import FeedbackStore, held

    settings = Settings()
    entries = FeedbackStore.read(settings.feedback_url)
    live = live_scores(entries)
    if as_json:
        return print_json({"entries": len(entries), "live": live})
    counts = ("turns", "recordings", "contradicted")
    table = plain_table(*right("version", *counts, "accuracy", "95 %", "macro F1"))
    for version, scores in live.items():
        interval = scores["intervals"]["accuracy"]
        table.add_row(
            version,
            *(str(scores[name]) for name in counts),
            f"{scores['accuracy']['rate']:.1%}",
            f"{interval['low']:.1%}–{interval['high']:.1%}" if interval else "–",
            f"{scores['macro_f1']:.3f}",
        )
    for one in held(entries, settings.feedback_contradictions):
        note(f"{one.labels} labels of {one.origin} wait for a person: moodline feedback review")
    sources = Counter(entry.source for entry in entries)
    out.print(table if live else "No feedback yet.")
    return note(f"{len(entries)} entries: {dict(sources)}")


def review_feedback_command(
    accept: Annotated[
        str,
        typer.Option(
            "--accept", metavar="KEY", help="Train on what this key said, and --seen names."
        ),
    ] = "",
    seen: Annotated[
        str, typer.Option("--seen", help="As the list says in its last column: what was seen.")
    ] = "",
    drop: Annotated[
        str, typer.Option("--drop", metavar="KEY", help="Delete what this key said.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the API keys whose labels contradict the model far too often; accept or drop them.

    Such labels are held: they are not trained on until a person has looked at them. Only what was
    seen is accepted: --seen names it, as the list does in its last column. All that waits now is
    dropped. What came without a key is named "no key".
    """
    from components.traffic import FeedbackStore, held, seen_entries

    settings = Settings()
    if accept and drop:
        raise InputError("--accept and --drop: name one of them at a time")
    if bool(accept) != bool(seen):
        hint = "look first: moodline feedback review, then --accept KEY --seen WHAT"
        raise InputError(f"--accept and --seen go together; {hint}")
    with closing(FeedbackStore(settings.feedback_url)) as store:
        entries = store.entries()
        waiting = held(entries, settings.feedback_contradictions)
        if accept or drop:
            origin = accept or drop
            if origin not in {one.origin for one in waiting}:
                names = ", ".join(repr(one.origin) for one in waiting) or "nobody"
                raise InputError(f"{origin}: nothing of this key is held; held is: {names}")
            if accept:
                return _accept(store, seen_entries(entries, origin, seen), origin, as_json)
            dropped = store.drop_origin(origin)
            if as_json:
                return print_json({"key": origin, "dropped": dropped})
            return out.print(f"Dropped: {dropped} entries of {origin}.", markup=False)
    if as_json:
        return print_json([asdict(one) for one in waiting])
    numbers = right("labels", "contradict", "recordings")
    table = plain_table("key", *numbers, "from", "to", "seen")
    for one in waiting:
        counts = (one.labels, f"{one.contradictions / one.labels:.0%}", one.recordings)
        days = (f"{time:%Y-%m-%d %H:%M}" for time in (one.since, one.until))
        table.add_row(escape(one.origin), *map(str, counts), *days, one.seen)
    return out.print(table if waiting else "Nothing is held.")


def _accept(store: "FeedbackStore", entries: "list[Feedback]", origin: str, as_json: bool) -> None:
    """Accept what was seen of a key, and say what came since."""
    from components.traffic import held

    accepted = store.accept(entries)
    after = store.entries()
    since = sum(entry.origin == origin and not entry.accepted for entry in after)
    stay = origin in {one.origin for one in held(after, Settings().feedback_contradictions)}
    if as_json:
        return print_json({"key": origin, "accepted": accepted, "since": since, "held": stay})
    out.print(f"Accepted: {accepted} entries of {origin}.", markup=False)
    if since:
        note(f"{since} came since you looked, and {'stay' if stay else 'are not'} held")
    return None


def drop_feedback_command(
    author: Annotated[
        str, typer.Option("--author", help="Who said so: an author, or an API key's name.")
    ] = "",
    request: Annotated[
        str, typer.Option("--request", help="The request_id of the answer it was about.")
    ] = "",
    since: Annotated[
        str, typer.Option("--since", help="Given since: 7d, 2026-05-12 or 2026-05-12T08:00.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Delete feedback by author, request or time; of several options, all must apply.

    Exit status 2: there is no such feedback. What was trained on before stays trained on.
    """
    from components.traffic import FeedbackStore

    if not (author or request or since):
        raise InputError("name what to drop: --author, --request or --since")
    with closing(FeedbackStore(Settings().feedback_url)) as store:
        dropped = store.drop(
            author=author or None, request=request or None, since=_time_of(since) if since else None
        )
    if not dropped:
        raise InputError("there is no such feedback; nothing was dropped")
    if as_json:
        return print_json({"dropped": dropped})
    return out.print(f"Dropped: {dropped} entries of feedback.")


def _time_of(text: str) -> datetime | None:
    """A day, a time (UTC where it names no zone), or how far back.

    Raises:
        InputError: it is none of them.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        try:
            return start_of(text, datetime.now(UTC))
        except InputError:
            hint = "name a day as 2026-05-12, a time as 2026-05-12T08:00, or a length as 7d"
            raise InputError(f"--since {text}: {hint}") from None
    return in_utc(time)
