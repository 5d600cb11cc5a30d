"""The gate: may this model go on? Every check with its number, its threshold and its answer."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from components.profile import GateSettings

ROUNDING = 1e-9
"""0.60 − 0.65 must pass a margin of 0.05."""

GATED = {"accuracy": "accuracy", "macro_f1": "macro F1"}


@dataclass(frozen=True, slots=True)
class Check:
    """One question to the numbers; it passes where `value` is at least `threshold`.

    Attributes:
        value: None where there was nothing to measure; then it does not pass.
        says: the check in words, with its numbers.
    """

    name: str
    value: float | None
    threshold: float
    passed: bool
    says: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate said: "pass" if every check passed, else "fail"."""

    checks: tuple[Check, ...]

    def __post_init__(self) -> None:
        if not self.checks:
            raise ValueError("a verdict without a check says nothing")

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def decision(self) -> str:
        """ "pass" or "fail"."""
        return "pass" if self.passed else "fail"

    @property
    def reasons(self) -> tuple[str, ...]:
        """A line for each check that did not pass."""
        return tuple(check.says for check in self.checks if not check.passed)

    def to_json(self) -> dict[str, Any]:
        """As `verdict.json` holds it."""
        return {
            "verdict": self.decision,
            "reasons": list(self.reasons),
            "checks": [asdict(check) for check in self.checks],
        }


def gate(
    metrics: Mapping[str, Any], champion: Mapping[str, Any] | None, settings: GateSettings
) -> Verdict:
    """Hold a model's numbers against the profile's thresholds and the model in production.

    Args:
        metrics: the model's, as `measure` gives them.
        champion: the production model's on the same utterances, measured today; None where
            nothing is in production, and then nothing is compared.
        settings: minimum levels, and how much worse than production is let through.
    """
    return Verdict((*_levels(metrics, settings), *_regressions(metrics, champion, settings)))


def _levels(metrics: Mapping[str, Any], settings: GateSettings) -> Iterator[Check]:
    least = {"accuracy": settings.min_accuracy, "macro_f1": settings.min_macro_f1}
    for name, words in GATED.items():
        value, threshold = metrics[name]["rate"], least[name]
        passed = value is not None and value >= threshold - ROUNDING
        says = f"{words} is {_number(value)}, and must be at least {_number(threshold)}"
        yield Check(f"minimum {words}", value, threshold, passed, says)


def _regressions(
    metrics: Mapping[str, Any], champion: Mapping[str, Any] | None, settings: GateSettings
) -> Iterator[Check]:
    if champion is None:
        return
    for name, words in GATED.items():
        ours, theirs = metrics[name]["rate"], champion[name]["rate"]
        difference = None if ours is None or theirs is None else ours - theirs
        passed = difference is not None and difference >= -settings.margin - ROUNDING
        says = (
            f"{words} is {_number(ours)}, production's {_number(theirs)}, and may be at most"
            f" {_number(settings.margin)} less"
        )
        yield Check(
            f"{words} not worse than production", difference, -settings.margin, passed, says
        )


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
