"""`moodline models`: the prepared models of this machine."""

from pathlib import Path
from typing import Annotated

import typer

from components.base import located, read_json, tree_digest, validate
from components.config import Settings, fetch_models
from pipelines.cli.console import note, out, print_json, spinner
from pipelines.cli.options import AsJson
from pipelines.cli.tables import plain_table


def fetch_command(
    source: Annotated[
        str, typer.Argument(metavar="PLACE", help="A folder or s3://bucket/path, a folder a model.")
    ],
    digests: Annotated[
        Path | None,
        typer.Option(
            help="JSON of names and digests, as a version's speech_models.json: bring only these,"
            " and refuse others."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring models from an object store into MOODLINE_MODELS, each whole or not at all.

    The store's address is AWS_ENDPOINT_URL_S3, where it is not Amazon's. No hub is asked. It
    prints the digest of each model.
    """
    place, settings = located(source), Settings()
    wanted = None
    if digests is not None:
        wanted = validate(dict[str, str], read_json(digests), str(digests))
    with spinner(f"fetching models from {place}"):
        found = fetch_models(place, settings, wanted)
    _show(found, as_json)
    note(f"{len(found)} models are in {settings.models}")


def list_command(as_json: AsJson = False) -> None:
    """The models in MOODLINE_MODELS, and the digest that a version knows each by."""
    folder = Settings().models
    names = sorted(p.name for p in folder.glob("*") if p.is_dir() and p.name[0] != ".")
    _show({name: tree_digest(folder / name) for name in names}, as_json)


def _show(digests: dict[str, str], as_json: bool) -> None:
    if as_json:
        return print_json(digests)
    table = plain_table("model", "digest")
    for name, digest in digests.items():
        table.add_row(name, digest)
    return out.print(table)
