"""`moodline backup` and `moodline restore`."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from components.base import InputError, masked
from components.config import Settings
from pipelines.cli.console import bar, note, out, print_json
from pipelines.cli.options import AsJson

if TYPE_CHECKING:
    from pipelines.keeping import Home, Manifest


def backup_command(
    archive: Annotated[Path, typer.Argument(help="The new file, ….tar.")],
    with_signing_key: Annotated[
        bool, typer.Option("--with-signing-key", help="The private key, too: guard the file.")
    ] = False,
    without_stores: Annotated[
        bool,
        typer.Option(
            "--without-stores", help="Leave out a registry on a server, and files in a store."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write what cannot be made again into one file, while everything goes on.

    Registry, ledger and the versions' files, log and feedback, kept sound and the log's key, jobs,
    the trigger's ledger, public keys. Not in it: runs, caches, prepared models, what a service has
    fetched, its file of API keys, voice prints. Only its owner can read it; whoever can, reads
    what people said.
    """
    from pipelines.keeping import back_up

    settings = Settings()
    if not without_stores and (elsewhere := _elsewhere(settings)):
        raise InputError(
            f"{' and '.join(elsewhere)} cannot be backed up here; back that up where it lies, and "
            "the rest with --without-stores"
        )
    home = _home(settings, private=with_signing_key)
    _bring_up_to_date(settings)
    with bar("backing up (MB)") as moved:
        manifest = back_up(home, archive, moved)
    _say(archive, manifest, as_json)
    if settings.log_store:
        note(f"Kept sound and the log's key lie in {settings.log_store}: see to their copy there.")
    if not with_signing_key and settings.signing_key is None:
        note("The private signing key is not in it (--with-signing-key).")


def restore_command(
    archive: Annotated[Path, typer.Argument(help="What `moodline backup` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Fill an empty home from a backup: all of it, or nothing.

    Restore only what you have made yourself: its keys are trusted afterwards. What was erased after
    the backup was made is in it still.
    """
    from pipelines.keeping import restore

    with bar("restoring (MB)") as moved:
        manifest = restore(archive, _home(Settings(), private=True), moved)
    _say(archive, manifest, as_json)
    if any(name.startswith(("databases/", "log/")) for name in manifest.files):
        note(
            f"It is of {manifest.made:%Y-%m-%d %H:%M} UTC. What was erased since then is back: "
            "erase it again (moodline log erase)."
        )


def _home(settings: Settings, *, private: bool) -> "Home":
    """What is kept, and where it lies by the settings."""
    from components.register import local_registry
    from components.retrainings import SCHEMA as TRIGGER
    from components.traffic.tables import SCHEMA as TRAFFIC
    from pipelines.keeping import Folder, Home, Tables
    from serving.database import SCHEMA as SERVICE
    from serving.settings import ServeSettings

    serve = ServeSettings()
    keys = ("*.pub", "private.pem") if private else ("*.pub",)
    store, uploads = serve.store_url(settings.home), serve.shared_folder(settings.home) / "uploads"
    return Home(
        settings.home,
        local_registry(settings),
        databases=(
            Tables("databases/feedback.db", "the feedback's", settings.feedback_url, TRAFFIC),
            Tables("databases/jobs.db", "the service's", store, SERVICE),
            Tables("databases/trigger.db", "the trigger's", settings.trigger_url, TRIGGER),
        ),
        folders=(
            Folder("log", settings.log, ("key", "audio/day=*/[!.]*.flac")),
            *([Folder("uploads", uploads)] if isinstance(uploads, Path) else []),
            Folder("signing", settings.home / "signing", keys),
        ),
    )


def _elsewhere(settings: Settings) -> list[str]:
    """What lies on a server or in an object store that keeps backups of its own."""
    from components.register import local_registry
    from serving.settings import ServeSettings

    found = []
    registry = local_registry(settings)
    if registry is None:
        found.append(f"the registry at {masked(settings.mlflow_uri)}")
    elif registry[1] is None:
        found.append(f"the registry's files at {masked(settings.mlflow_artifacts)}")
    uploads = ServeSettings().shared_folder(settings.home)
    if not isinstance(uploads, Path):
        found.append(f"uploads of jobs at {masked(str(uploads))}")
    if settings.log_store:
        found.append(f"kept sound at {masked(settings.log_store)}")
    return found


def _bring_up_to_date(settings: Settings) -> None:
    """Put what an older version logged in files into the database, which is what is kept."""
    from components.traffic import TurnLog

    with closing(TurnLog(settings.log_location, settings.feedback_url)) as log:
        if log.exists:
            log.open()


def _say(archive: Path, manifest: "Manifest", as_json: bool) -> None:
    if as_json:
        made, files = manifest.made.isoformat(), len(manifest.files)
        told = {"path": str(archive), "made": made, "files": files, "moodline": manifest.moodline}
        return print_json(told)
    size = archive.stat().st_size / 1e6
    return out.print(f"{archive}: {len(manifest.files)} files, {size:.1f} MB", markup=False)
