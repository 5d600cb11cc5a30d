"""What the gate checks: each check with its threshold; a check that is not named is not made.

Declared under `gate` in a profile, or in a file of its own that the profile names there:

    min_accuracy: 0.60
    max_teer: 0.35
    no_regression: {accuracy: 0.02, macro_f1: 0.02, teer: 0.02}
    slices:
      sex: {min_accuracy: 0.50}
    behaviour: {silence: 0.95, filler: 0.95}
    latency: {max_p95_ms: 500}
    max_megabytes: 500
"""

from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, get_args

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from components.base import InputError, first_fault, parse_yaml, read_text
from components.config.parts import Count, Frozen, Positive, Share
from components.conversation import EMOTIONS, Emotion

T = TypeVar("T", bound=BaseModel)


class NoRegression(Frozen):
    """How much worse than production a model may be, on the same utterances: margins.

    The one-sided 95 % lower bound of the difference, from a paired bootstrap over conversations,
    must be above −margin; of an error rate's, the upper bound below the margin.

    Attributes:
        min_conversations: with fewer of them the bootstrap says little, and a person must decide.
    """

    accuracy: Share | None = None
    uar: Share | None = None
    macro_f1: Share | None = None
    weighted_f1: Share | None = None
    teer: Share | None = None
    steer: Share | None = None
    min_conversations: Count = 10

    def margins(self) -> dict[str, float]:
        """The margin of each rate that is compared."""
        return self.model_dump(exclude={"min_conversations"}, exclude_none=True)


class Slice(Frozen):
    """The least accuracy of each part of the test set that a slicing gives.

    Attributes:
        min_utterances: a part with fewer is too small to tell, and a person must decide.
    """

    min_accuracy: Share
    min_utterances: Count = 10


class Slices(Frozen):
    """Ways to cut the test set: see `components.evaluate.slices`."""

    sex: Slice | None = None
    fold: Slice | None = None
    style: Slice | None = None
    length: Slice | None = None
    asr_confidence: Slice | None = None


class Behaviour(Frozen):
    """The least share of turns whose answer holds when a thing changes that should not matter.

    Attributes:
        silence, volume, case, punctuation, filler: see `components.evaluate.behaviour`.
        max_turns: how many of the test turns are tried, spread evenly over them.
    """

    silence: Share | None = None
    volume: Share | None = None
    case: Share | None = None
    punctuation: Share | None = None
    filler: Share | None = None
    max_turns: Count = 200

    def shares(self) -> dict[str, float]:
        """The least share for each change that is tried."""
        return self.model_dump(exclude={"max_turns"}, exclude_none=True)


class Latency(Frozen):
    """How long one turn alone may take with the served model, on the machine that evaluates.

    Attributes:
        max_p95_ms: of 95 % of the turns, each at the best of three runs.
        max_times_production: the time for all turns, as a multiple of production's time for them.
        max_turns: how many are timed, spread evenly over the test turns.
    """

    max_p95_ms: Positive | None = None
    max_times_production: Positive | None = None
    max_turns: Count = 20


class GateSettings(Frozen):
    """What a model must reach.

    Attributes:
        min_f1: of each emotion: one number for all, or a mapping.
        max_teer, max_steer: by the default convention.
        max_ece: the expected calibration error.
        max_megabytes: of the files that are served.
    """

    min_accuracy: Share | None = None
    min_macro_f1: Share | None = None
    min_f1: dict[Emotion, Share] | None = None
    max_teer: Annotated[float, Field(ge=0)] | None = None
    max_steer: Annotated[float, Field(ge=0)] | None = None
    max_ece: Share | None = None
    no_regression: NoRegression | None = None
    slices: Slices | None = None
    behaviour: Behaviour | None = None
    latency: Latency | None = None
    max_megabytes: Positive | None = None

    @field_validator("min_f1", mode="before")
    @classmethod
    def _each_emotion(cls, value: Any) -> Any:
        return dict.fromkeys(EMOTIONS, value) if isinstance(value, (int, float)) else value

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        checks = self.model_dump(exclude={"no_regression", "latency"}, exclude_none=True)
        if not any(checks.values()):
            raise ValueError("asks nothing of a first model; name a minimum level")
        return self


def load_gate(path: Path) -> GateSettings:
    """Load a gate file.

    Raises:
        InputError: no such file, not YAML, an unknown check or a wrong threshold, which it names.
    """
    location = f"gate file {path}"
    return validate_settings(
        GateSettings, parse_yaml(read_text(path, location), location), location
    )


def validate_settings(kind: type[T], content: Any, location: str, gate: tuple[str, ...] = ()) -> T:
    """Content of a gate file or a profile as settings; `gate`: the keys that hold the gate in it.

    Raises:
        InputError: an unknown check, or else the first fault; one line that begins with `location`.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        unknown = _unknown_check(error, gate)
        fault = ": ".join((*gate, unknown)) if unknown else first_fault(error)
        raise InputError(f"{location}: {fault}") from None


def _unknown_check(error: ValidationError, within: tuple[str, ...]) -> str | None:
    """The first unknown check among a gate's faults, and the known ones; None if all are known."""
    for fault in error.errors():
        loc = fault["loc"]
        if fault["type"] != "extra_forbidden" or loc[: len(within)] != within:
            continue
        inner = [str(part) for part in loc[len(within) :]]
        group: type[BaseModel] = GateSettings
        for part in inner[:-1]:
            kinds = get_args(group.model_fields[part].annotation)
            group = next(k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel))
        return f"unknown check {'.'.join(inner)!r}; known: {', '.join(group.model_fields)}"
    return None
