"""The options that commands share, and what they stand for."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import components
from components.base import InputError
from components.config import Profile, Settings, load_profile
from components.conversation import MAX_PAUSE, MAX_SPEAKERS

DEMO_CORPUS = Path(components.__file__).parent / "corpus" / "demo"

CORPUS_ON_KUBEFLOW = "name the corpus, as the cluster's pods see it: --corpus /moodline/corpus"

ProfileName = Annotated[str, typer.Option("--profile", help="demo, paper, or a YAML file.")]
Speakers = Annotated[
    int | None,
    typer.Option("--num-speakers", min=1, max=MAX_SPEAKERS, help="How many speak, if you know."),
]
MaxPause = Annotated[
    float | None,
    typer.Option(
        "--max-pause",
        min=0.0,
        max=MAX_PAUSE,
        help="Seconds of silence that still belong to a turn.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


class Runner(StrEnum):
    """Where a run's steps run."""

    local = "local"
    docker = "docker"
    kubeflow = "kubeflow"


def profile_and_settings(name: str) -> tuple[Profile, Settings]:
    """Load both; a profile that names models of the hub may reach the hub."""
    profile, settings = load_profile(name), Settings()
    names = (
        profile.transcribe.model,
        profile.diarize.pipeline,
        profile.fusion.acoustic,
        profile.fusion.text,
    )
    if not all((settings.models / n).is_dir() or Path(n).exists() for n in names):
        if profile.name == "demo":
            raise InputError(f"{settings.models}: the demo's models are not there; run: make setup")
        os.environ.pop("HF_HUB_OFFLINE", None)
        os.environ.pop("TRANSFORMERS_OFFLINE", None)
    return profile, settings
