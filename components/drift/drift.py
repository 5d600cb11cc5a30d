"""A window of the log against a version's reference: the verdict and the files about it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.base import Location, atomic_path, write_file
from components.drift.gauges import drift_gauges
from components.drift.judge import DriftSettings, DriftVerdict, judge_window
from components.drift.live import live_scores
from components.drift.report import report_page
from components.drift.sample import Reference, Sample, read_reference, to_sample
from components.traffic import Feedback

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class DriftResult:
    """A window's comparison with a reference.

    Attributes:
        verdict: the judgement.
        version: of the model; None: whichever answered.
        registered: when that version was; None where no registry was asked.
        since, until: the window's ends.
        at: when it was compared.
        live: see `live_scores`.
        reference, window: what was compared.
    """

    verdict: DriftVerdict
    version: int | None
    registered: datetime | None
    since: datetime | None
    until: datetime | None
    at: datetime
    live: dict[str, Any]
    reference: Reference
    window: Sample

    def to_json(self) -> dict[str, Any]:
        """The verdict and what it is about."""
        return {
            "version": self.version,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "at": self.at.isoformat(),
            **self.verdict.to_json(),
            # A database has no torn lines. The key stays for scripts that read it.
            "log": {"broken_lines": 0, "unreadable_files": []},
            "live": self.live,
        }

    def report(self) -> str:
        """All of it as one HTML page."""
        version = "any" if self.version is None else str(self.version)
        about = (version, self.since, self.until, self.live)
        return report_page(self.verdict, self.reference, self.window, *about)

    def write(
        self,
        *,
        verdict: Path | None = None,
        report: Location | None = None,
        prom: Location | None = None,
    ) -> None:
        """Write the files that are named, each whole or not at all: JSON, HTML, gauges."""
        if verdict is not None:
            with atomic_path(verdict) as temporary:
                text = json.dumps(self.to_json(), ensure_ascii=False, indent=1)
                temporary.write_text(text + "\n", encoding="utf-8")
        if report is not None:
            write_file(report, self.report().encode())
        if prom is not None:
            gauges = drift_gauges(self.verdict, self.live, self.at, self.version, self.registered)
            write_file(prom, gauges)


def drift(
    turns: "pa.Table",
    model: Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    version: int | None = None,
    registered: datetime | None = None,
    feedback: Iterable[Feedback] = (),
    settings: DriftSettings | None = None,
) -> DriftResult:
    """Compare a window of the log with what a model version was made on; see `DriftResult`.

    Turns that versions with other labels answered are left out, and counted in the verdict.

    Args:
        turns: of the window (see `TurnLog.window`).
        model: the version's folder, with its drift reference.
        since, until: the window's ends; open where None.
        feedback: what people said of the window's answers.

    Raises:
        InputError: the version has no drift reference, or one that is none.
    """
    reference = read_reference(model)
    window, other_labels = to_sample(turns, reference.every.labels)
    return DriftResult(
        verdict=judge_window(reference, window, settings, other_labels=other_labels),
        version=version,
        registered=registered,
        since=since,
        until=until,
        at=datetime.now(UTC),
        live=live_scores(feedback),
        reference=reference,
        window=window,
    )
