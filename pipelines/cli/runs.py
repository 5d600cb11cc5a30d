"""Shows a run: its steps as they begin and end, and the result of a retraining."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from components.base import Event, InputError, Location, Refused
from components.config import Profile, Settings
from components.scoring import read_verdict
from pipelines.cli.console import err, note, out
from pipelines.cli.tables import checks_table, facts_table
from pipelines.runners.containers import check_engine
from pipelines.runners.request import RetrainRequest
from pipelines.runners.retrain import RetrainResult, retrain

LABELS = {
    "corpus-digest": "look at the corpus",
    "join-feedback": "join the feedback",
    "corpus": "read the corpus",
    "recordings-digest": "look at the recordings",
    "recordings": "read the recordings",
    "predict": "name the emotions",
    "transcribe": "transcribe (WhisperX)",
    "diarize": "find the speakers (pyannote)",
    "align": "align words and speakers",
    "label": "label the turns",
    "train": "train the fusion model",
    "champion": "look up the version in production",
    "fetch": "fetch it",
    "evaluate": "evaluate on the held-out fold",
    "register": "register in MLflow",
    "promote": "promote",
}


@contextmanager
def shown_steps() -> Iterator[Callable[[Event], None]]:
    """Show steps on standard error; yields the function to call with each event."""
    with err.status("starting") as status:

        def show(event: Event) -> None:
            step = event.step
            name, _, part = step.rpartition("-") if step[-1:].isdigit() else (step, "", "")
            label = LABELS.get(name, name) + (f" ({part})" if part else "")
            if event.state == "running":
                progress = f" {event.progress[0]}/{event.progress[1]}" if event.progress else ""
                status.update(label + progress)
            elif name in LABELS:
                mark = "[red]✗[/red]" if event.state == "failed" else "[green]✓[/green]"
                took = "done before" if event.state == "reused" else f"{event.seconds:6.1f} s"
                err.print(f"  {mark} {label:38} {took}")

        yield show


def say_power(
    profile: Profile, corpus: Location, settings: Settings, *, in_containers: bool = False
) -> None:
    """Say how often the gate would let an equally good model through, with this corpus.

    Raises:
        InputError: the gate asks for a column of the manifest that the corpus lacks, or (but in
            containers, which have packages of their own) for a check that is not installed.
    """
    from components.corpus import read_corpus, unscored_labels
    from components.evaluate import check_gate, gate_power, held_out_recordings

    try:
        recordings = read_corpus(corpus, settings.finished, profile)
        tested = held_out_recordings(recordings, profile)
    except InputError:
        return  # the first step says what is wrong with the corpus, and the run remembers it
    if others := unscored_labels(recordings, profile):
        note(f"Labels that are not trained on and not scored: {others}")
    own = {} if in_containers else profile.gate.own
    check_gate(recordings, profile.gate.model_copy(update={"own": own}))
    power = gate_power(tested, profile.gate, profile.labels)
    if power is not None:
        note(f"{'Warning: little power. ' if power.low else ''}The gate's power: {power}")


def show_retraining(
    profile: Profile, request: RetrainRequest, settings: Settings, *, in_containers: bool = False
) -> RetrainResult:
    """Retrain here and show the steps; see `pipelines.runners.retrain`.

    What the gate can tell with this corpus is said first, and what it asks for must be there.
    """
    if in_containers:
        check_engine()
    say_power(profile, request.corpus, settings, in_containers=in_containers)
    with shown_steps() as on_step:
        return retrain(profile, request, settings, in_containers=in_containers, on_step=on_step)


def refuse_unless_passed(result: RetrainResult) -> None:
    """Raise `Refused` with the gate's reasons (exit status 1) if the gate did not pass."""
    if result.decision != "pass":
        why = "; ".join(result.reasons)
        report = result.outputs["report"]
        raise Refused(f"the gate says {result.decision}: {why} (report: {report})")


def show_result(result: RetrainResult) -> None:
    """Print what a retraining came to: its numbers, the gate's verdict, the version."""
    from components.evaluate import headline

    rates = headline(json.loads(result.outputs["metrics"].read_text(encoding="utf-8")))
    shown = {name: "–" if rate is None else f"{rate:.3f}" for name, rate in rates.items()}
    out.print(facts_table(shown))
    out.print(checks_table(read_verdict(result.outputs["verdict"])))
    if result.version is not None:
        promoted = " and is in production" if result.promoted else ""
        out.print(f"Registered as version {result.version}{promoted}.")
    out.print(f"Report: {result.outputs['report']}", soft_wrap=True)
