"""`moodline speakers`: the voice prints that the service keeps, listed and erased."""

from contextlib import closing
from typing import Annotated

import typer

from components.base import InputError
from components.config import Settings
from pipelines.cli.console import out, print_json
from pipelines.cli.options import AsJson
from pipelines.cli.tables import plain_table


def list_command(as_json: AsJson = False) -> None:
    """Whose voice prints are kept, for which API key, and until when; never the prints."""
    from serving.settings import ServeSettings
    from serving.voices import VoiceStore

    with closing(VoiceStore(Settings().home, ServeSettings())) as store:
        kept = store.of(None)
    if as_json:
        return print_json(
            [
                {
                    "name": one.name,
                    "owner": one.owner,
                    "created": one.created.isoformat(),
                    "expires": one.expires.isoformat(),
                }
                for one in kept
            ]
        )
    if not kept:
        return out.print("No voice print is kept.")
    table = plain_table("name", "owner", "created", "expires")
    for one in kept:
        days = (f"{time:%Y-%m-%d}" for time in (one.created, one.expires))
        table.add_row(one.name, one.owner or "–", *days)
    return out.print(table)


def erase_command(
    name: Annotated[str, typer.Argument(help="Whose voice it is.")],
    owner: Annotated[
        str, typer.Option("--owner", help="The name of the API key that enrolled it, if one did.")
    ] = "",
) -> None:
    """Erase a voice print. Answers that name the speaker stay: moodline log erase.

    Exit status 2: none of that name is kept.
    """
    from components.diarize import check_name
    from serving.settings import ServeSettings
    from serving.voices import VoiceStore

    check_name(name)
    with closing(VoiceStore(Settings().home, ServeSettings())) as store:
        if not store.erase(owner, name):
            hint = f" for the owner {owner}" if owner else "; one of an API key needs --owner"
            raise InputError(f"{name}: no voice print of that name is kept{hint}")
    out.print(f"Erased: the voice print of {name}", markup=False)
