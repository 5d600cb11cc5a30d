"""`moodline demo` and `moodline demo-loop`: the whole loop, once by command, once by itself."""

import shutil
import time
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from components.config import Profile, Settings
from components.conversation import audio_duration, read_audio
from components.register import alias_version
from pipelines.cli.console import bar, err, out, spinner, title, user_name
from pipelines.cli.conversations import open_analyzer
from pipelines.cli.options import DEMO_CORPUS, Changes, ProfileName, profile_and_settings
from pipelines.cli.runs import refuse_unless_passed, show_result, show_retraining
from pipelines.cli.tables import turns_table
from pipelines.demo.sample import sample_conversation, sample_errors
from pipelines.runners.request import RetrainRequest

LOOP_ENVIRONMENT = {"MOODLINE_LOG_AUDIO": "true", "MOODLINE_TRAFFIC_FOLLOW_SECONDS": "1"}
"""The service keeps the sound, for only that can be trained on, and asks the registry often."""


def demo_command(
    profile: ProfileName = "demo",
    changes: Changes = None,
    corpus: Annotated[Path, typer.Option("--corpus", help="Another corpus.")] = DEMO_CORPUS,
) -> None:
    """The whole loop on the demo corpus, then a real conversation.

    A synthetic corpus becomes a trained, evaluated, gated, registered, promoted and served model;
    then half a minute of a real telephone call comes back as turns, with its error rates.
    """
    began = time.monotonic()
    chosen, settings = profile_and_settings(profile, changes)
    title("1  Retrain on the demo corpus (synthetic speech), and promote what passes")
    request = RetrainRequest(corpus, promote=True, actor=user_name(), reason="moodline demo")
    result = show_retraining(chosen, request, settings)
    show_result(result)
    if result.decision == "inconclusive" and alias_version("production", settings) is not None:
        # A model that cannot be told from production on four conversations waits for a person.
        out.print(
            f"The gate says inconclusive ({'; '.join(result.reasons)}). Version {result.version} "
            "waits for a person; the demo goes on with the one in production.",
            soft_wrap=True,
        )
    else:
        refuse_unless_passed(result)
    title("2  Serve it: Triton and the BentoML service")
    audio, reference = sample_conversation()
    _serve_once(audio, chosen, settings)
    title("3  moodline analyze, on a real telephone conversation of two women")
    _analyze_real(audio, reference, chosen, settings)
    out.print(f"\n{_done(began)}", style="bold")
    out.print("Next: moodline analyze YOUR.wav · moodline registry list · make serve")


def _serve_once(audio: Path, profile: Profile, settings: Settings) -> None:
    """Bring everything up, send one recording as a client would, and stop."""
    import httpx

    from serving.supervisor.serve import Serving

    with spinner("starting Triton and the service"):
        serving = Serving(settings, profile, port=0)
        serving.start(meanwhile=_import_listening)
    try:
        with spinner(f"POST {serving.url}/v1/analyze"), audio.open("rb") as file:
            began = time.monotonic()
            answer = httpx.post(
                f"{serving.url}/v1/analyze",
                files={"audio": (audio.name, file, "audio/wav")},
                data={"num_speakers": "2"},
                timeout=600,
            )
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        out.print(
            f"POST /v1/analyze: {answer.status_code}, {len(body['turns'])} turns of "
            f"{audio_duration(audio):.0f} s in {time.monotonic() - began:.1f} s, "
            f"by {body['model']['name']} version {body['model']['version']} on Triton",
            soft_wrap=True,
        )
    finally:
        with spinner("stopping"):
            serving.stop()


def _import_listening() -> None:
    """Import what `_analyze_real` needs; the service takes longer to start."""
    for module in ("components.segmentation", "pyannote.audio.pipelines", "whisperx.vads"):
        import_module(module)


def _analyze_real(audio: Path, reference: Path, profile: Profile, settings: Settings) -> None:
    from serving.engine.options import Options

    analyzer = open_analyzer("production", profile, settings)
    with bar("listening") as progress:
        progress(0, 1)
        analysis = analyzer.analyze(read_audio(audio), Options("sample", num_speakers=2))
        progress(1, 1)
    out.print(turns_table(analysis.turns))
    der, cpwer = sample_errors(analysis.turns, analysis.speakers, reference)
    out.print(
        f"\nagainst its reference: diarization error rate {der['rate']:.1%} at collar 0 "
        f"(missed {der['missed']:.1f} s, false alarm {der['false_alarm']:.1f} s, "
        f"wrong speaker {der['confusion']:.1f} s of {der['total']:.1f} s), "
        f"cpWER {cpwer['rate']:.1%} ({cpwer['errors']} of {cpwer['length']} words)",
        soft_wrap=True,
    )
    err.print("The emotions have no reference: nobody labelled this call.", style="dim")


def _done(began: float) -> str:
    took = time.monotonic() - began
    return f"Done in {took / 60:.1f} minutes ({took:.0f} s)."


def demo_loop_command(
    profile: ProfileName = "demo",
    changes: Changes = None,
    corpus: Annotated[Path, typer.Option("--corpus", help="Another corpus.")] = DEMO_CORPUS,
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="The gate's: how much worse on normal recordings.")
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
    chosen, settings = profile_and_settings(profile, changes)
    chosen = with_margin(chosen, margin)
    own = loop_settings(settings)
    programs = settings.home / "prometheus"
    stack = Stack(
        settings=own, programs=programs, profile=chosen, corpus=corpus, environment=LOOP_ENVIRONMENT
    )
    with only_loop(settings), stack:
        shutil.rmtree(own.home, ignore_errors=True)
        recordings = prepare_recordings(corpus, chosen, own.home / "traffic")
        title("1  A version in production, in a registry of the loop's own")
        # Finished steps stay where other runs find them: they are done once.
        shared = own.model_copy(update={"runs": settings.runs})
        request = RetrainRequest(
            corpus=corpus, promote=True, actor=user_name(), reason="moodline demo-loop"
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
    out.print(f"\n{_done(began)}", style="bold")
    out.print(f"Its reports, logs and registry are in {own.home}", soft_wrap=True)
