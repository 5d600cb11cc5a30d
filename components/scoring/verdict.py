"""A gate's verdict: every check with its number, its threshold and its answer.

It is one JSON file, `verdict.json`: what evaluates a model writes it, what registers and promotes
the model reads it, and people read it.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict

from components.base import InputError, read_json, validate
from components.scoring.power import Power

Result = Literal["pass", "fail", "inconclusive"]

PASS: Result = "pass"
FAIL: Result = "fail"
INCONCLUSIVE: Result = "inconclusive"
"""The test set is too small to tell, or there was nothing to measure: a person must decide."""

Bound = Literal["at least", "at most", "above", "below"]


@dataclass(frozen=True, slots=True)
class Check:
    """One number against one threshold.

    Attributes:
        name: as in the gate file, dotted: `min_accuracy`, `slices.sex.F`.
        value: None where there was nothing to measure.
        bound: on which side of `threshold` the value must be.
        says: the check in words, with its numbers.
        decides: whether the decision rests on it; if not, it is reported beside those that do.
    """

    name: str
    value: float | None
    bound: Bound
    threshold: float
    result: Result
    says: str
    decides: bool = True
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        if self.result not in get_args(Result):
            raise ValueError(f"“{self.result}” is no result of a check")

    def to_json(self) -> dict[str, Any]:
        """As `verdict.json` holds it; `decides` only where it does not."""
        content = asdict(self)
        return content if not self.decides else {k: v for k, v in content.items() if k != "decides"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision on one model.

    Attributes:
        model: the digest of the model's folder.
        checks: at least one that decides.
        power: of the comparison with production, as known before; None where none was asked for,
            and in verdicts of before.
    """

    model: str
    checks: tuple[Check, ...]
    power: Power | None = None

    def __post_init__(self) -> None:
        if not self.deciding:
            raise ValueError("a verdict without a check says nothing")

    @property
    def deciding(self) -> tuple[Check, ...]:
        """The checks that the decision rests on."""
        return tuple(check for check in self.checks if check.decides)

    @property
    def decision(self) -> Result:
        """ "fail" if any deciding check failed, else "inconclusive" if any was, else "pass"."""
        results = {check.result for check in self.deciding}
        return next(result for result in (FAIL, INCONCLUSIVE, PASS) if result in results)

    @property
    def passed(self) -> bool:
        """Whether every deciding check passed."""
        return self.decision == PASS

    @property
    def reasons(self) -> tuple[str, ...]:
        """A line for each deciding check that did not pass, those that failed first."""
        results = (FAIL, INCONCLUSIVE)
        return tuple(c.says for result in results for c in self.deciding if c.result == result)

    def __str__(self) -> str:
        return "; ".join([self.decision, *self.reasons])

    def to_json(self) -> dict[str, Any]:
        """As `verdict.json` holds it."""
        return {
            "verdict": self.decision,
            "model": self.model,
            "reasons": list(self.reasons),
            "checks": [check.to_json() for check in self.checks],
            **({"power": asdict(self.power)} if self.power else {}),
        }


class _Content(BaseModel):
    verdict: str
    model: str
    checks: list[Check]
    power: Power | None = None


def read_verdict(path: Path) -> Verdict:
    """Read a `verdict.json`.

    Raises:
        InputError: missing, not a verdict, or one whose decision is not what its checks say.
    """
    content = validate(_Content, read_json(path), f"{path}: is not a verdict")
    try:
        verdict = Verdict(content.model, tuple(content.checks), content.power)
    except ValueError as error:
        raise InputError(f"{path}: is not a verdict: {error}") from None
    if content.verdict != verdict.decision:
        raise InputError(f"{path}: says {content.verdict!r}, its checks say {verdict.decision!r}")
    return verdict
