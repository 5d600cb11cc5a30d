"""Why two systems differ: what their turns do to utterances, and what that does to answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from components.scoring import UtteranceFaults
from pipelines.experiments.results import Results, SystemResult
from pipelines.experiments.systems import System, TurnMethod

KINDS: dict[str, tuple[str, Callable[[UtteranceFaults], bool]]] = {
    "broken": ("broken: its words stand in several turns", lambda f: f.broken),
    "merged": ("merged: its turn holds another utterance's words", lambda f: f.merged),
    "mixed": ("mixed: its turn holds another speaker's words", lambda f: f.mixed),
    "misattributed": ("words of it given to another speaker", lambda f: f.misattributed > 0),
    "lost": ("words of it that no turn has", lambda f: f.lost > 0),
}
"""What can happen to an utterance."""

WHOLE_ONLY = {
    TurnMethod.ALIGNED: "whole only with alignment",
    TurnMethod.BASELINE: "whole only without alignment",
    TurnMethod.ORACLE: "whole only in the VAD-oracle's turns",
}


@dataclass(frozen=True, slots=True)
class UtteranceGroup:
    """Some of the scored utterances, and how many of them two systems answered correctly.

    Attributes:
        name: which utterances.
        utterances: how many.
        first, second: each system's correct answers, the mean over seeds.
    """

    name: str
    utterances: int
    first: float
    second: float

    @property
    def gain(self) -> float:
        """How many more correct answers the first system has."""
        return self.first - self.second


def count_faults(results: Results) -> dict[str, dict[str, Any]]:
    """For each method of making turns: what its turns do to the corpus, all utterances counted."""
    counts = {}
    for method, faults in results.faults.items():
        own, turns = faults.utterances, faults.turns
        counts[str(method)] = {
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
    answers = list(zip(results.faults_of(system), _correct(results.systems[system]), strict=True))
    accuracies = {}
    for kind, (_, holds) in {**KINDS, "whole": ("", lambda f: f.whole)}.items():
        affected = [correct for faults, correct in answers if holds(faults)]
        others = [correct for faults, correct in answers if not holds(faults)]
        accuracies[kind] = {
            "affected": len(affected),
            "right_of_affected": sum(affected),
            "others": len(others),
            "right_of_others": sum(others),
        }
    return accuracies


def utterance_groups(results: Results, first: System, second: System) -> list[UtteranceGroup]:
    """The scored utterances by whether they are whole in each system's turns; last all of them."""
    pair = (first, second)
    whole = zip(*([f.whole for f in results.faults_of(s)] for s in pair), strict=True)
    correct = zip(*(_correct(results.systems[s]) for s in pair), strict=True)
    answers = list(zip(whole, correct, strict=True))
    names = {
        "whole in both": [(True, True)],
        WHOLE_ONLY[first.method]: [(True, False)],
        WHOLE_ONLY[second.method]: [(False, True)],
        "whole in neither": [(False, False)],
        "all": [(True, True), (True, False), (False, True), (False, False)],
    }
    groups = []
    for name, kinds in names.items():
        own = [counts for kind, counts in answers if kind in kinds]
        groups.append(
            UtteranceGroup(name, len(own), sum(a for a, _ in own), sum(b for _, b in own))
        )
    return groups


def _correct(result: SystemResult) -> list[float]:
    """For each scored utterance the share of seeds that answered it correctly."""
    return [sum(seeds) / len(seeds) for seeds in zip(*result.right, strict=True)]


def differences(results: Results) -> list[dict[str, Any]]:
    """The differences between systems that have an interval, and whether it covers 0."""
    return [
        {
            "systems": f"{first.title} less {second.title}",
            "rate": name,
            "title": f"{first.title} less {second.title}: {name}",
            "noise": test["interval"]["low"] <= 0 <= test["interval"]["high"],
            **test,
        }
        for (first, second), tests in results.comparisons.items()
        for name, test in (("accuracy", tests["accuracy"]), ("macro F1", tests["macro_f1"]))
        if test["interval"] is not None
    ]
