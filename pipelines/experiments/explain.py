"""Why two systems differ: what their turns do to utterances, and what that does to answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from components.scoring import UtteranceFaults
from pipelines.experiments.results import Results, SystemResult
from pipelines.experiments.systems import System, Way

KINDS: dict[str, tuple[str, Callable[[UtteranceFaults], bool]]] = {
    "broken": ("broken: its words stand in several turns", lambda f: f.broken),
    "merged": ("merged: its turn holds another utterance's words", lambda f: f.merged),
    "mixed": ("mixed: its turn holds another speaker's words", lambda f: f.mixed),
    "misattributed": ("words of it given to another speaker", lambda f: f.misattributed > 0),
    "lost": ("words of it that no turn has", lambda f: f.lost > 0),
}
"""What can happen to an utterance."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the scored utterances, and how many of them two systems got right.

    Attributes:
        name: which.
        utterances: how many.
        first, second: right answers, the mean over seeds.
    """

    name: str
    utterances: int
    first: float
    second: float

    @property
    def gain(self) -> float:
        """Right answers that the first has more."""
        return self.first - self.second


def count_faults(results: Results) -> dict[str, dict[str, Any]]:
    """For each way of making turns: what its turns do to the corpus, all utterances counted."""
    counts = {}
    for way, faults in results.faults.items():
        own, turns = faults.utterances, faults.turns
        counts[str(way)] = {
            "turns": len(turns),
            "utterances": len(own),
            "whole": sum(f.whole for f in own),
            **{kind: sum(holds(f) for f in own) for kind, (_, holds) in KINDS.items()},
            "words": sum(f.words for f in own),
            "lost_words": sum(f.lost for f in own),
            "misattributed_words": sum(f.misattributed for f in own),
            "turns_of_several_utterances": sum(t.utterances > 1 for t in turns),
            "turns_of_several_speakers": sum(t.speakers > 1 for t in turns),
            "turns_of_several_emotions": sum(t.emotions > 1 for t in turns),
            "bridged_pauses": sum(t.pauses for t in turns),
            "bridged_seconds": sum(t.pause_seconds for t in turns),
        }
    return counts


def by_fault(results: Results, system: System) -> dict[str, dict[str, Any]]:
    """A system's accuracy on utterances that suffered each kind of fault, and on the others."""
    own, right = results.faults_of(system.way), _right(results.systems[system])
    accuracies = {}
    for kind, (_, holds) in {**KINDS, "whole": ("", lambda f: f.whole)}.items():
        hit = [holds(f) for f in own]
        accuracies[kind] = {
            "affected": sum(hit),
            "right_of_affected": sum(r for r, h in zip(right, hit, strict=True) if h),
            "others": len(hit) - sum(hit),
            "right_of_others": sum(r for r, h in zip(right, hit, strict=True) if not h),
        }
    return accuracies


def parts(results: Results, first: System, second: System) -> list[Part]:
    """The scored utterances by whether they are whole in each system's turns."""
    whole_first = [f.whole for f in results.faults_of(first.way)]
    whole_second = [f.whole for f in results.faults_of(second.way)]
    right_first = _right(results.systems[first])
    right_second = _right(results.systems[second])
    names = {
        (True, True): "whole in both",
        (True, False): f"whole only {_by(first.way)}",
        (False, True): f"whole only {_by(second.way)}",
        (False, False): "whole in neither",
    }
    groups = []
    for key, name in names.items():
        at = [i for i, k in enumerate(zip(whole_first, whole_second, strict=True)) if k == key]
        groups.append(
            Part(name, len(at), sum(right_first[i] for i in at), sum(right_second[i] for i in at))
        )
    return groups


def _right(result: SystemResult) -> list[float]:
    """For each scored utterance the share of seeds that got it right."""
    return [sum(seeds) / len(seeds) for seeds in zip(*result.right, strict=True)]


def _by(way: Way) -> str:
    return {
        Way.ALIGNED: "with alignment",
        Way.BASELINE: "without alignment",
        Way.ORACLE: "in the VAD-oracle's turns",
    }[way]


def is_noise(test: dict[str, Any]) -> bool:
    """Whether an interval covers 0, or there is none."""
    interval = test["interval"]
    return interval is None or interval["low"] <= 0 <= interval["high"]


def differences(results: Results) -> list[dict[str, Any]]:
    """The differences between systems that have an interval, and whether it covers 0."""
    return [
        {
            "systems": f"{first.title} less {second.title}",
            "rate": name,
            "title": f"{first.title} less {second.title}: {name}",
            "noise": is_noise(tests[key]),
            **tests[key],
        }
        for (first, second), tests in results.comparisons.items()
        for key, name in (("accuracy", "accuracy"), ("macro_f1", "macro F1"))
        if tests[key]["interval"] is not None
    ]


def table_of_parts(results: Results, pair: tuple[System, System]) -> Sequence[Part]:
    """The parts of one comparison, and all of them together."""
    groups = parts(results, *pair)
    total = Part(
        "all",
        sum(p.utterances for p in groups),
        sum(p.first for p in groups),
        sum(p.second for p in groups),
    )
    return [*groups, total]
