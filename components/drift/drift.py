"""A window of the log against a version's reference, from files to a verdict with its papers."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.base import atomic_path
from components.drift.gauges import drift_gauges, write_gauges
from components.drift.judge import DriftSettings, Verdict, judge
from components.drift.live import live_scores
from components.drift.report import report_page
from components.drift.sample import Reference, Sample, read_reference, to_sample
from components.traffic import Feedback, read_window


@dataclass(frozen=True, slots=True)
class DriftResult:
    """A comparison that was made.

    Attributes:
        verdict: the judgement.
        version: of the model; None: whichever answered.
        registered: when that version was; None where no registry was asked.
        since, until: the window's ends.
        at: when it was compared.
        broken: lines of the log that could not be read.
        unreadable: its files that could not.
        live: see `live_scores`.
        reference, window: what was compared.
    """

    verdict: Verdict
    version: int | None
    registered: datetime | None
    since: datetime | None
    until: datetime | None
    at: datetime
    broken: int
    unreadable: tuple[str, ...]
    live: dict[str, Any]
    reference: Reference
    window: Sample

    @property
    def lost(self) -> str:
        """What of the log could not be read, in words; empty if nothing."""
        parts = [f"{self.broken} torn or damaged lines"] if self.broken else []
        parts += [f"{name} cannot be read" for name in self.unreadable]
        return f"Left out of the log: {'; '.join(parts)}." if parts else ""

    def to_json(self) -> dict[str, Any]:
        """The verdict and what it is about."""
        return {
            "version": self.version,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "at": self.at.isoformat(),
            **self.verdict.to_json(),
            "log": {"broken_lines": self.broken, "unreadable_files": list(self.unreadable)},
            "live": self.live,
        }

    def report(self) -> str:
        """All of it as one HTML page."""
        return report_page(
            self.verdict,
            self.reference,
            self.window,
            version="any" if self.version is None else str(self.version),
            since=self.since,
            until=self.until,
            lost=self.lost,
            live=self.live,
        )

    def write(
        self, *, verdict: Path | None = None, report: Path | None = None, prom: Path | None = None
    ) -> None:
        """Write what is asked for, each file whole or not at all.

        Args:
            verdict: JSON.
            report: HTML.
            prom: gauges in Prometheus' text format.
        """
        if verdict is not None:
            with atomic_path(verdict) as temporary:
                text = json.dumps(self.to_json(), ensure_ascii=False, indent=1)
                temporary.write_text(text + "\n", encoding="utf-8")
        if report is not None:
            with atomic_path(report) as temporary:
                temporary.write_text(self.report(), encoding="utf-8")
        if prom is not None:
            known = None
            if self.version is not None and self.registered is not None:
                known = self.version, self.registered
            write_gauges(prom, drift_gauges(self.verdict, self.live, self.at, known))


def drift(
    log: Path,
    model: Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    version: int | None = None,
    registered: datetime | None = None,
    feedback: Iterable[Feedback] = (),
    settings: DriftSettings | None = None,
) -> DriftResult:
    """Compare a window of the log with what a model version was made on.

    Args:
        log: the prediction log's folder.
        model: the version's folder, with its drift reference.
        since, until: the window; open at either end where None.
        version: only what this version answered.
        registered: when it was, for the gauges.
        feedback: what people said of the window's answers.

    Raises:
        InputError: the version has no drift reference, or one that is none.
    """
    reference = read_reference(model)
    read = read_window(log, since, until, version=version)
    window = to_sample(read.table)
    return DriftResult(
        verdict=judge(reference, window, settings),
        version=version,
        registered=registered,
        since=since,
        until=until,
        at=datetime.now(UTC),
        broken=read.broken,
        unreadable=read.unreadable,
        live=live_scores(feedback),
        reference=reference,
        window=window,
    )
