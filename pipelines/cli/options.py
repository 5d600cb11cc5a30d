"""The options that commands share, and what they stand for."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

import components
from components.align import Auto, Method
from components.base import InputError
from components.config import Profile, Settings, is_unpinned, load_profile
from components.conversation import MAX_PAUSE, MAX_SPEAKERS, Seconds
from pipelines.cli.console import note
from pipelines.runners.local import models_are_prepared

DEMO_CORPUS = Path(components.__file__).parent / "corpus" / "demo"

CORPUS_ON_KUBEFLOW = "name the corpus, as the cluster's pods see it: --corpus /moodline/corpus"

ProfileName = Annotated[str, typer.Option("--profile", help="demo, tiny, paper, or a YAML file.")]
OwnProfile = Annotated[
    str | None,
    typer.Option("--profile", help="To compute otherwise (device); the version's own by default."),
]
LanguageOption = Annotated[
    str | None,
    typer.Option("--language", help="Its code (de), or auto: it is heard. Default: the profile's."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="A key of the profile and its value: train.epochs=5. Repeatable."),
]
Speakers = Annotated[
    int | None,
    typer.Option("--num-speakers", min=1, max=MAX_SPEAKERS, help="How many speak, if you know."),
]
MinSpeakers = Annotated[
    int | None, typer.Option(min=1, max=MAX_SPEAKERS, help="At least so many speak.")
]
MaxSpeakers = Annotated[
    int | None, typer.Option(min=1, max=MAX_SPEAKERS, help="At most so many speak.")
]
Hotwords = Annotated[str, typer.Option(help="Names and terms that may be said.")]
Prompt = Annotated[
    str, typer.Option(help="Text that might stand before: its spelling and style are taken up.")
]
KnownSpeakers = Annotated[
    list[str] | None,
    typer.Option(
        "--speaker",
        metavar="NAME=FILE",
        help="A sample of a known voice: Ann=ann.wav. Repeatable. It is heard now, and not kept.",
    ),
]
ByChannel = Annotated[
    bool, typer.Option("--channels", help="Each channel is a speaker, as in call centres.")
]
MaxPause = Annotated[
    str | None,
    typer.Option(
        metavar="SECONDS|auto",
        help="The longest silence inside a turn, in seconds; auto: what is usual in the recording.",
    ),
]
Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Runner = Literal["local", "docker", "kubeflow"]
Window = Annotated[str, typer.Option("--window", help="How far back: 30m, 24h, 7d; or all.")]

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


AlignMethod = Annotated[
    Method,
    typer.Option(
        help="overlap: each word by itself, the paper's rule; evidence: by sentences, pauses and"
        " neighbouring words, too, with how sure it is."
    ),
]
ScoresOut = Annotated[
    Path | None, typer.Option("--scores", help="Where the frame scores go, for `align --scores`.")
]
ScoresIn = Annotated[
    Path | None,
    typer.Option(
        "--scores",
        help="With --method evidence: the frame scores that `diarize --scores` wrote beside these"
        " speakers.",
    ),
]


def longest_pause(text: str | None) -> Seconds | Auto | None:
    """What `--max-pause` says; None where it is not given.

    Raises:
        InputError: it is neither auto nor a number of seconds that may be asked for.
    """
    if text is None:
        return None
    if text == "auto":
        return "auto"
    with suppress(ValueError):
        if 0 <= (pause := float(text)) <= MAX_PAUSE:
            return pause
    raise InputError(f"--max-pause {text}: give seconds, from 0 to {MAX_PAUSE}, or auto")


def start_of(window: str, end: datetime) -> datetime | None:
    """When a window begins; None for all.

    Raises:
        InputError: it is no length of time.
    """
    if window == "all":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd])", window)
    if match is None:
        raise InputError(f"--window {window}: name a length as 30m, 24h or 7d, or all")
    try:
        return end - timedelta(**{_UNITS[match[2]]: float(match[1])})
    except OverflowError:
        raise InputError(
            f"--window {window}: would begin before the year 1; name a shorter one, or all"
        ) from None


def cluster_profile(name: str, changes: Sequence[str] | None = None) -> Profile:
    """Load a profile whose steps run on a cluster.

    Raises:
        InputError: it does not say where the cluster gets their images.
    """
    profile = load_profile(name, changes or ())
    cluster = profile.cluster
    if not (cluster.registry or cluster.pull == "Never" or len(cluster.images) == 3):
        raise InputError(
            f"profile {profile.name}: the cluster cannot pull the steps' images; name their"
            " registry in cluster.registry (or pull: Never, where its nodes have them)"
        )
    return profile


def profile_and_settings(
    name: str, changes: Sequence[str] | None = None
) -> tuple[Profile, Settings]:
    """Load both; a profile that names models of the hub may reach the hub."""
    profile, settings = load_profile(name, changes or ()), Settings()
    if not models_are_prepared(profile, settings):
        if profile.name in ("demo", "tiny"):
            raise InputError(f"{settings.models}: the demo's models are not there; run: make setup")
        reach_the_hub()
    return profile, settings


def reach_the_hub() -> None:
    """Let the libraries that are imported from now on ask the hub."""
    os.environ.pop("HF_HUB_OFFLINE", None)
    os.environ.pop("TRANSFORMERS_OFFLINE", None)


def tell_unpinned(profile: Profile) -> None:
    """Say in one line which models are taken as the hub has them that day."""
    settings = Settings()
    names = [name for name in profile.models if is_unpinned(name, settings)]
    if names:
        note(
            f"moodline: not pinned: {', '.join(names)}; what the hub puts under these names may"
            " change unnoticed; write owner/name@commit in the profile"
        )
