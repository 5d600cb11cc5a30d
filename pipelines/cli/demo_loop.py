"""`moodline demo-loop`: its request, its state, its beginning and end."""

import fcntl
import getpass
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from components.base import InputError
from components.config import Profile, Settings
from pipelines.cli.console import err, out, spinner, title
from pipelines.cli.options import DEMO_CORPUS, ProfileName, profile_and_settings
from pipelines.cli.runs import refuse_unless_passed, show_retraining
from pipelines.runners.request import RetrainRequest

SERVICE = {"MOODLINE_LOG_AUDIO": "true", "MOODLINE_TRAFFIC_FOLLOW_SECONDS": "1"}
"""Only sound that is kept can be trained on; the registry is asked more often than it need be."""


def demo_loop_command(
    profile: ProfileName = "demo",
    corpus: Annotated[Path, typer.Option("--corpus", help="Another corpus.")] = DEMO_CORPUS,
    margin: Annotated[
        float,
        typer.Option(
            "--margin", min=0, max=1, help="The gate's: how much worse on normal recordings."
        ),
    ] = 0.2,
) -> None:
    """From drifted traffic to a promoted version: drift, alert, trigger, retraining, gate.

    The service, Prometheus, Alertmanager and the trigger are started here, with a state of their
    own (`loop` in Moodline's home) that is made anew each time. The traffic is the corpus, then the
    corpus as if it came from elsewhere, with corrections: all of it synthetic.

    The gate is the profile's, but that no regression against production is held to --margin: on
    the demo's four test conversations a smaller one would nearly always leave it to a person.
    """
    from pipelines.demo.loop.play import play
    from pipelines.demo.loop.stack import Stack
    from pipelines.demo.loop.traffic import prepared

    began = time.monotonic()
    chosen, settings = profile_and_settings(profile)
    chosen = with_margin(chosen, margin)
    own = own_settings(settings)
    stack = Stack(own, settings.home / "prometheus", chosen, corpus, SERVICE)
    with _alone(settings), stack:
        shutil.rmtree(own.home, ignore_errors=True)
        calls = prepared(corpus, chosen, own.home / "traffic")
        title("1  A version in production, in a registry of the loop's own")
        # Finished steps stay where other runs find them: they are done once.
        shared = own.model_copy(update={"runs": settings.runs})
        request = RetrainRequest(
            corpus=corpus, promote=True, actor=getpass.getuser(), reason="moodline demo-loop"
        )
        first = show_retraining(chosen, request, shared)
        refuse_unless_passed(first)
        out.print(f"Version {first.version} passed its gate and is in production.")
        title("2  The service, Prometheus, Alertmanager, the trigger")
        with err.status("starting") as status:
            stack.start(lambda names: status.update(f"starting {names}"))
        for name in ("service", "prometheus", "alertmanager", "trigger"):
            out.print(f"  {name:13} {getattr(stack, name)}")
        play(stack, calls, own, chosen)
        with spinner("stopping"):
            stack.stop()
    out.print(f"\nDone in {(time.monotonic() - began) / 60:.1f} minutes.", style="bold")
    out.print(f"Its reports, logs and registry are in {own.home}", soft_wrap=True)


def with_margin(profile: Profile, margin: float) -> Profile:
    """A profile whose gate lets a version be this much worse than production, and no more."""
    asked = profile.gate.no_regression
    if asked is None:
        return profile
    wider = asked.model_copy(update=dict.fromkeys(asked.margins(), margin))
    gate = profile.gate.model_copy(update={"no_regression": wider})
    return profile.model_copy(update={"gate": gate})


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Two loops at once would take each other's state away."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "loop.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another demo-loop runs in {settings.home}; wait for it") from None
        yield


def own_settings(settings: Settings) -> Settings:
    """A state of the loop's own: whatever the environment names is left alone, but what is only
    read (models, Triton's environment) or found by its content (finished work)."""
    home = settings.home / "loop"
    return Settings(
        _env_prefix="MOODLINE_LOOP_",
        home=home,
        models=settings.models,
        cache=settings.cache,
        triton_env=settings.triton_env,
    )  # type: ignore[call-arg]
