"""Why two systems differ: what their turns do to utterances, and what that does to answers.

Nothing here is a foregone conclusion: every sentence is made from the counts of this run.
"""

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
    "lost": ("words of it heard by nobody", lambda f: f.lost > 0),
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
    found = {}
    for way, faults in results.faults.items():
        own, turns = faults.utterances, faults.turns
        found[str(way)] = {
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
    return found


def by_fault(results: Results, system: System) -> dict[str, dict[str, Any]]:
    """A system's accuracy on utterances that suffered each kind of fault, and on the others."""
    own, right = results.faults_of(system.way), _right(results.systems[system])
    found = {}
    for kind, (_, holds) in {**KINDS, "whole": ("", lambda f: f.whole)}.items():
        hit = [holds(f) for f in own]
        found[kind] = {
            "affected": sum(hit),
            "right_of_affected": sum(r for r, h in zip(right, hit, strict=True) if h),
            "others": len(hit) - sum(hit),
            "right_of_others": sum(r for r, h in zip(right, hit, strict=True) if not h),
        }
    return found


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
    found = []
    for key, name in names.items():
        at = [i for i, k in enumerate(zip(whole_first, whole_second, strict=True)) if k == key]
        found.append(
            Part(name, len(at), sum(right_first[i] for i in at), sum(right_second[i] for i in at))
        )
    return found


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


def paragraphs(results: Results) -> list[str]:
    """What the differences mean, as far as this run's numbers tell."""
    found = []
    for (first, second), tests in results.comparisons.items():
        if first.strategy == second.strategy:
            found.append(_of_ways(results, first, second, tests))
        else:
            found.append(_verdict(results, first, second, tests) + ".")
    return found


def _verdict(results: Results, first: System, second: System, tests: dict[str, Any]) -> str:
    one, other = (results.systems[s].numbers["accuracy"]["rate"] for s in (first, second))
    test = tests["accuracy"]
    says = (
        f"{_capital(first.title)}: {_percent(one)} right; {second.title}: {_percent(other)}."
        f" The difference is {_points(test['difference'])}"
    )
    if test["interval"] is None:
        return f"{says}, of too few conversations to say how far it can be trusted"
    low, high = test["interval"]["low"], test["interval"]["high"]
    says += f" (95 % {_points(low, '')} to {_points(high)}, p = {test['p_value']:.3f})"
    if is_noise(test):
        return f"{says}, which is within noise: drawing other conversations could turn it round"
    better = first if test["difference"] > 0 else second
    return f"{says}: more than noise, in favour of “{better.title}”"


def _of_ways(results: Results, first: System, second: System, tests: dict[str, Any]) -> str:
    """Two ways of making turns under one strategy."""
    counts = count_faults(results)
    ours, theirs = counts[str(first.way)], counts[str(second.way)]
    groups = parts(results, first, second)
    net = sum(part.gain for part in groups)
    largest = max(groups, key=lambda part: abs(part.gain))
    sentences = [
        _verdict(results, first, second, tests),
        (
            f"{_capital(_by(second.way))}, {theirs['broken']} of {theirs['utterances']} utterances"
            f" are broken over several turns, {theirs['mixed']} stand in a turn with another"
            f" speaker's words, {theirs['misattributed_words']} of {theirs['words']} words are"
            f" given to the wrong speaker, {theirs['lost_words']} are lost and"
            f" {theirs['bridged_pauses']} pauses are bridged ({theirs['bridged_seconds']:.0f} s);"
            f" {_by(first.way)} {ours['broken']}, {ours['mixed']}, {ours['misattributed_words']},"
            f" {ours['lost_words']} and {ours['bridged_pauses']} ({ours['bridged_seconds']:.0f} s)"
        ),
        (
            f"Of the net {_count(net)} right answers between them, {_count(largest.gain)} fall on"
            f" the {largest.utterances} utterances that are {largest.name}"
            + (
                ", where the turns are the same and only what was trained on differs"
                if largest.name == "whole in both"
                else ""
            )
        ),
        _cost(results, second),
        _cost(results, first),
    ]
    return ". ".join(sentences) + "."


def _cost(results: Results, system: System) -> str:
    """How a system fares where its own turns leave an utterance whole, and where not."""
    found = by_fault(results, system)["whole"]
    if not found["affected"] or not found["others"]:
        share = "none" if found["others"] else "all"
        return f"{_capital(_by(system.way))} {share} of the utterances are whole"
    whole = found["right_of_affected"] / found["affected"]
    rest = found["right_of_others"] / found["others"]
    return (
        f"{_capital(_by(system.way))} it is right on {_percent(whole)} of the {found['affected']}"
        f" utterances that its turns leave whole and on {_percent(rest)} of the other"
        f" {found['others']}"
    )


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


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _points(value: float, unit: str = " points") -> str:
    return f"{100 * value:+.1f}".replace("-", "−") + unit


def _count(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−").removesuffix(".0")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
