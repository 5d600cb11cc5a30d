"""`moodline demo-loop`: its options, its first version, its beginning and end."""

import getpass
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import err, out, spinner, title
from pipelines.cli.options import DEMO_CORPUS, ProfileName, profile_and_settings
from pipelines.cli.runs import refuse_unless_passed, show_retraining
from pipelines.runners.request import RetrainRequest

ENVIRONMENT = {"MOODLINE_LOG_AUDIO": "true", "MOODLINE_TRAFFIC_FOLLOW_SECONDS": "1"}
"""The service keeps the sound, for only that can be trained on, and asks the registry often."""


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
    from pipelines.demo.loop.recordings import prepare_recordings
    from pipelines.demo.loop.scenario import Scenario
    from pipelines.demo.loop.stack import Stack
    from pipelines.demo.loop.state import loop_settings, only_loop, with_margin

    began = time.monotonic()
    chosen, settings = profile_and_settings(profile)
    chosen = with_margin(chosen, margin)
    own = loop_settings(settings)
    stack = Stack(
        settings=own,
        programs=settings.home / "prometheus",
        profile=chosen,
        corpus=corpus,
        environment=ENVIRONMENT,
    )
    with only_loop(settings), stack:
        shutil.rmtree(own.home, ignore_errors=True)
        recordings = prepare_recordings(corpus, chosen, own.home / "traffic")
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
        for name, url in stack.urls.items():
            out.print(f"  {name:13} {url}")
        Scenario(
            stack=stack, recordings=recordings, settings=own, profile=chosen, out=out, err=err
        ).run()
        with spinner("stopping"):
            stack.stop()
    out.print(f"\nDone in {(time.monotonic() - began) / 60:.1f} minutes.", style="bold")
    out.print(f"Its reports, logs and registry are in {own.home}", soft_wrap=True)
