"""The loop itself: its steps in order, and what is printed of each."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table

from components.base import Refused
from components.config import Profile, Settings
from components.conversation import Recording, Seconds
from pipelines.demo.loop.client import (
    ANSWER_SECONDS,
    AnalyzedRecording,
    ServiceClient,
    measure_answers,
)
from pipelines.demo.loop.observe import (
    LogFollower,
    alert_receivers,
    firing_alert,
    run_drift,
    run_result,
    started_run,
    wait_for,
)
from pipelines.demo.loop.recordings import LoopRecordings
from pipelines.demo.loop.stack import Stack

T = TypeVar("T")

ALERT = "MoodlineDrift"
ALERT_SECONDS: Seconds = 60.0
RUN_SECONDS: Seconds = 1800.0
FOLLOW_SECONDS: Seconds = 120.0


@dataclass(frozen=True)
class Scenario:
    """The steps of the loop, once all servers run.

    Attributes:
        profile: its seed is that of the intervals.
        out, err: show the results, and the progress.
    """

    stack: Stack
    recordings: LoopRecordings
    settings: Settings
    profile: Profile
    out: Console
    err: Console

    def run(self) -> None:
        """Go through all steps.

        Raises:
            Unavailable: something that should happen does not.
            Refused: no drift was detected, or the gate did not pass.
        """
        with ServiceClient(base_url=self.stack.urls["service"], timeout=ANSWER_SECONDS) as client:
            self._title("3  Normal traffic: recordings of the corpus that nothing was trained on")
            began = datetime.now(UTC)
            normal = self._send(client, self.recordings.normal)
            self._drift("normal", began)
            self._title(
                "4  Drifted traffic: other voices, noise, a telephone line (made of the corpus)"
            )
            began = datetime.now(UTC)
            self._correct(client, self._send(client, self.recordings.corrected))
            drifted = self._send(client, self.recordings.held_out)
            drift = self._drift("drifted", began)
            if drift["decision"] != "drift":
                raise Refused(f"no drift was found, and so nothing happens: {drift['reason']}")
            self._title("5  The alert, and what it starts")
            self._retrain(client, datetime.fromisoformat(drift["at"]))
            self._title("6  Some of both again, by the new version")
            began = datetime.now(UTC)
            before = {"normal": self._tested(normal), "drifted": self._tested(drifted)}
            after = {
                name: self._send(client, [one.recording for one in analyzed])
                for name, analyzed in before.items()
            }
            self._drift("after", began)
        self._title("Accuracy on the test part, through the service, before and after")
        self.out.print(accuracy_table(before, after, self.profile.seed))

    def _title(self, text: str) -> None:
        self.out.print(f"\n{text}", style="bold")

    def _tested(self, analyzed: Sequence[AnalyzedRecording]) -> list[AnalyzedRecording]:
        return [one for one in analyzed if one.recording.name in self.recordings.tested]

    def _send(
        self, client: ServiceClient, recordings: Sequence[Recording]
    ) -> list[AnalyzedRecording]:
        """Send recordings, one after the other."""
        began = time.monotonic()
        hidden = not self.err.is_terminal
        shown = track(
            recordings, "POST /v1/analyze", console=self.err, transient=True, disable=hidden
        )
        analyzed = [client.analyze(recording) for recording in shown]
        turns = sum(len(one.turns) for one in analyzed)
        versions = sorted({one.version for one in analyzed})
        self.out.print(
            f"{len(analyzed)} recordings, {turns} turns, answered by version"
            f" {', '.join(map(str, versions))} in {time.monotonic() - began:.0f} s"
        )
        return analyzed

    def _correct(self, client: ServiceClient, analyzed: Sequence[AnalyzedRecording]) -> None:
        counts = [client.correct(one) for one in analyzed]
        self.out.print(
            f"POST /v1/feedback: {sum(labelled for labelled, _ in counts)} turns; version"
            f" {analyzed[0].version} had {sum(right for _, right in counts)} of them right"
        )

    def _drift(self, name: str, since: datetime) -> dict[str, Any]:
        """Look for drift in all that was sent since then, and print the result."""
        drift = run_drift(self.settings, name, since)
        self.out.print(drift_table(drift))
        self.out.print(f"moodline drift: {drift['decision']}: {drift['reason']}", markup=False)
        return drift

    def _retrain(self, client: ServiceClient, detected: datetime) -> None:
        """Follow the drift from the alert to answers by the version that it led to.

        Times are printed from when drift was detected.
        """

        from components.register import show

        def event(text: str, at: datetime | None = None) -> None:
            seconds = ((at or datetime.now(UTC)) - detected).total_seconds()
            self.out.print(f"  {seconds:+6.1f} s {text}", markup=False, soft_wrap=True)

        urls = self.stack.urls
        alert = self._wait(lambda: firing_alert(urls["prometheus"], ALERT), f"alert {ALERT}")
        event(f"Prometheus: {ALERT} fires: {alert.summary}", alert.since)
        receivers = self._wait(lambda: alert_receivers(urls["alertmanager"], ALERT), "its route")
        event(f"Alertmanager routes it to: {', '.join(sorted(receivers))}")
        run = self._wait(lambda: started_run(self.settings), "a started run")
        event(f"the trigger started a retraining: {run.folder.name}, on {run.note}", run.at)
        wait = (run.at - alert.since).total_seconds()
        self.out.print(f"Alert to started run: {wait:.1f} s", style="bold")
        log = LogFollower(run.folder)

        def follow() -> None:
            self.stack.check()
            for line in log.new_lines():
                self.err.print(line, markup=False, soft_wrap=True)

        result = wait_for(lambda: run_result(run.folder), "the run's end", RUN_SECONDS, follow)
        verdict = ": ".join(filter(None, [result["decision"], "; ".join(result["reasons"])]))
        event(f"the gate says {verdict}")
        if not result["promoted"]:
            raise Refused(f"the new version is not promoted: the gate says {verdict}")
        version = int(result["version"])
        answers = f"version {version} in the answers"
        self._wait(lambda: client.version() == version or None, answers, FOLLOW_SECONDS)
        event(f"version {version} was promoted, and answers")
        lineage = show(version, self.settings).lineage
        self.out.print(
            f"In MLflow, of version {version}: reason “{lineage['reason']}”; cause"
            f" {lineage['cause']}",
            markup=False,
            soft_wrap=True,
        )

    def _wait(self, look: Callable[[], T | None], what: str, seconds: Seconds = ALERT_SECONDS) -> T:
        return wait_for(look, what, seconds, self.stack.check)


def _table(first: str, *columns: str) -> Table:
    """An empty table whose columns are right-aligned, except the first and those without a name."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    return table


def drift_table(drift: dict[str, Any]) -> Table:
    """The features of a drift report, for a terminal."""
    table = _table("feature", "reference", "window", "beyond chance", "p", "")
    for feature in drift["features"]:
        means = (feature["reference"].get("mean"), feature["window"].get("mean"))
        numbers = ["" if mean is None else f"{mean:.3g}" for mean in means]
        if feature["adjusted"] is None:
            table.add_row(feature["name"], *numbers, "", "", feature["why_not"] or "not judged")
            continue
        numbers += [f"{feature['effect']:.3f}", f"{feature['adjusted']:.4f}"]
        table.add_row(feature["name"], *numbers, "drifted" if feature["drifted"] else "as before")
    return table


def accuracy_table(
    before: dict[str, list[AnalyzedRecording]],
    after: dict[str, list[AnalyzedRecording]],
    seed: int,
) -> Table:
    """Accuracy on the same recordings before and after the retraining, for a terminal."""
    from components.evaluate import compare

    table = _table("test part", "utterances", "before", "after", "difference (95 %)")
    for name, analyzed in before.items():
        first, second = measure_answers(analyzed, seed), measure_answers(after[name], seed)
        change = compare(second, first, seed)["accuracy"]
        interval = change["interval"]
        spread = f" ({interval['low']:+.1%} to {interval['high']:+.1%})" if interval else ""
        table.add_row(
            name,
            str(len(first.right)),
            *(f"{m.metrics['accuracy']['rate']:.1%}" for m in (first, second)),
            f"{change['difference']:+.1%}{spread}",
        )
    return table
