"""The model's accuracy on live traffic, on the turns that people gave feedback on."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from components.scoring import Classification, bootstrap, classification
from components.scoring.classification import accuracy, macro_f1
from components.traffic import Feedback, contradicted, standing

SEED = 20260131


def live_scores(entries: Iterable[Feedback]) -> dict[str, Any]:
    """Accuracy and F1 of each model version on the turns that people gave feedback on, over the
    version's labels.

    People rather report what is wrong: unless turns were drawn for review, these numbers are lower
    than the accuracy on all traffic.

    Returns:
        For each version, as text: `Classification.to_json()`, and beside it `turns`, `recordings`,
        `contradicted` (turns on which people disagree) and 95 % intervals over recordings of
        `accuracy` and `macro_f1` (None with fewer than two recordings).
    """
    entries = list(entries)
    scores: dict[str, Any] = {}
    for version in sorted({entry.version for entry in entries}):
        own = [entry for entry in entries if entry.version == version]
        stands = standing(own)
        labels = tuple(dict.fromkeys(label for entry in own for label in entry.labels))
        by_recording: dict[str, Classification] = {}
        for entry in stands:
            counted = classification([entry.emotion], [entry.predicted], labels)
            before = by_recording.get(entry.recording, Classification.zero(labels))
            by_recording[entry.recording] = before + counted
        counts = np.stack([part.counts for part in by_recording.values()])
        whole = sum(by_recording.values(), Classification.zero(labels))
        intervals = {
            name: bootstrap(counts, statistic, seed=SEED)
            for name, statistic in (("accuracy", accuracy), ("macro_f1", macro_f1))
        }
        scores[str(version)] = {
            **whole.to_json(),
            "turns": len(stands),
            "recordings": len(by_recording),
            "contradicted": contradicted(own),
            "intervals": {name: part and part.to_json() for name, part in intervals.items()},
        }
    return scores
