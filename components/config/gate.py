"""What the gate checks: each check with its threshold; a check that is not named is not made.

Declared under `gate` in a profile, or in a file of its own that the profile names there:

    min_accuracy: 0.60
    max_teer: 0.35
    no_regression: {accuracy: {20: 0.04, 150: 0.02}, macro_f1: 0.04, teer: 0.04}
    slices:
      sex: {min_accuracy: 0.50}
    behaviour: {silence: 0.95, filler: 0.95}
    latency: {max_p95_ms: 500}
    max_megabytes: 500
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from components.base import InputError, first_fault, parse_yaml, read_text
from components.config.parts import Count, Frozen, Positive, Share, added
from components.conversation import Emotion

T = TypeVar("T", bound=BaseModel)

Rate = Literal["accuracy", "uar", "macro_f1", "weighted_f1", "teer", "steer"]


def _margin(value: Any) -> Any:
    margins = value if isinstance(value, dict) else {1: value}
    good = margins and all(
        str(count).isdigit()
        and int(count) > 0
        and type(margin) in (int, float)
        and 0 <= margin <= 1
        for count, margin in margins.items()
    )
    if not good:
        kinds = "a number from 0 to 1, or such a number for each least number of conversations"
        raise PydanticCustomError("margin", f"Input should be {kinds}")
    return value


Margin = Annotated[float | dict[int, float], BeforeValidator(_margin)]
"""How much worse a rate may be; or from how many conversations on how much: {20: 0.04, 150: 0.02}.
A large test set can hold a model to less."""


class NoRegression(Frozen):
    """How much worse than production a model may be, on the same utterances: margins.

    The one-sided 95 % bounds of the difference, from a paired bootstrap over conversations, are
    held against −margin: the check passes if both lie above it, and fails if both lie below. Of an
    error rate it is the margin, the other way round.

    Attributes:
        decides: the rate whose check counts; the other checks are reported beside it. Several that
            all must pass would refuse an equal model more often the more there are. Default: the
            first one with a margin, in the order that they have here.
        min_conversations: with fewer of them the bootstrap says little, and a person must decide.
    """

    accuracy: Margin | None = None
    uar: Margin | None = None
    macro_f1: Margin | None = None
    weighted_f1: Margin | None = None
    teer: Margin | None = None
    steer: Margin | None = None
    decides: Annotated[Rate | None, added()] = None
    min_conversations: Count = 20

    @model_validator(mode="after")
    def _decides_by_a_margin(self) -> Self:
        if self.decides is not None and getattr(self, self.decides) is None:
            raise ValueError(f"decides by {self.decides}, which has no margin; give it one")
        return self

    def margins(self, conversations: int) -> dict[str, float]:
        """The margin of each rate that is compared, with so many conversations to test on."""
        set_ones = {name: getattr(self, name) for name in get_args(Rate)}
        return {
            name: _margin_at(margin, conversations)
            for name, margin in set_ones.items()
            if margin is not None
        }

    @property
    def deciding(self) -> str | None:
        """The rate whose check counts; None where none is compared."""
        return self.decides or next(iter(self.margins(0)), None)


def _margin_at(margin: float | dict[int, float], conversations: int) -> float:
    """Of fewer conversations than any that is named, the margin of the fewest."""
    if not isinstance(margin, dict):
        return margin
    reached = [count for count in margin if count <= conversations]
    return margin[max(reached, default=min(margin))]


class Slice(Frozen):
    """The least accuracy of each part of the test set that a slicing gives.

    Attributes:
        min_utterances: a part with fewer is too small to tell, and a person must decide.
    """

    min_accuracy: Share
    min_utterances: Count = 50


class Slices(Frozen):
    """Ways to cut the test set: see `components.evaluate.slices`.

    Attributes:
        set, language: the manifest's columns of these names, which an import writes.
        noise: by the estimated signal-to-noise ratio.
        columns: by the values of a column of the corpus' manifest: a customer, a channel.
    """

    sex: Slice | None = None
    fold: Slice | None = None
    style: Slice | None = None
    length: Slice | None = None
    asr_confidence: Slice | None = None
    set: Annotated[Slice | None, added()] = None
    language: Annotated[Slice | None, added()] = None
    noise: Annotated[Slice | None, added()] = None
    columns: Annotated[dict[str, Slice] | None, added()] = None

    def named(self) -> dict[str, Slice]:
        """Each slicing that is asked for, by its dotted name: `sex`, `columns.customer`."""
        columns = {f"columns.{name}": limits for name, limits in (self.columns or {}).items()}
        own = {name: limits for name, limits in self if isinstance(limits, Slice)}
        return own | columns


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
        min_f1: of each emotion: one number for all, or a mapping of labels.
        max_teer, max_steer: by the default convention.
        max_ece: the expected calibration error.
        min_over_probe: how much more accurate than the version's linear probe: −0.02 allows two
            points less.
        max_megabytes: of the files that are served.
        own: checks of your own, by the names of their entry points, each with what it is given;
            see `components.evaluate.own`.
    """

    min_accuracy: Share | None = None
    min_macro_f1: Share | None = None
    min_f1: Share | dict[Emotion, Share] | None = None
    max_teer: Annotated[float, Field(ge=0)] | None = None
    max_steer: Annotated[float, Field(ge=0)] | None = None
    max_ece: Share | None = None
    min_over_probe: Annotated[float | None, Field(ge=-1, le=1), added()] = None
    no_regression: NoRegression | None = None
    slices: Slices | None = None
    behaviour: Behaviour | None = None
    latency: Latency | None = None
    max_megabytes: Positive | None = None
    own: Annotated[dict[str, dict[str, Any]] | None, added()] = None

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        # Versions of before have no probe, a first model no production to be compared with.
        excluded = {"no_regression", "latency", "min_over_probe"}
        checks = self.model_dump(exclude=excluded, exclude_none=True)
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
        fault = ": ".join((*gate, unknown)) if unknown else _unknown_key(kind, error)
        fault = fault or first_fault(error)
        raise InputError(f"{location}: {fault}") from None


def _unknown_key(kind: type[BaseModel], error: ValidationError) -> str | None:
    """The first fault, if it is a key that is not known, with the one that may be meant."""
    fault = error.errors()[0]
    if fault["type"] != "extra_forbidden":
        return None
    *groups, key = (str(part) for part in fault["loc"])
    models = [kind]
    for part in groups:
        inner = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        # A part that is no field is a key of a mapping or the place in a list.
        models = [model for kinds in inner for model in _models(kinds)] or models
    known = [name for model in models for name in model.model_fields]
    near = get_close_matches(key, known if groups else [*known, "extends"], 1)
    advice = f"is {near[0]} meant?" if near else f"known: {', '.join(known)}"
    return f"{'.'.join((*groups, key))}: is no key of a profile; {advice}"


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a type is, or is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _unknown_check(error: ValidationError, within: tuple[str, ...]) -> str | None:
    """The first unknown check among a gate's faults, and the known ones; None if all are known."""
    for fault in error.errors():
        loc = fault["loc"]
        if fault["type"] != "extra_forbidden" or loc[: len(within)] != within:
            continue
        inner = [str(part) for part in loc[len(within) :]]
        group: type[BaseModel] = GateSettings
        for part in inner[:-1]:
            field = group.model_fields.get(part)
            # No field of the group: a name within a mapping, all of which have the same settings.
            group = (field and _settings_in(field.annotation)) or group
        return f"unknown check {'.'.join(inner)!r}; known: {', '.join(group.model_fields)}"
    return None


def _settings_in(annotation: Any) -> type[BaseModel] | None:
    """The settings within an annotation such as `dict[str, Slice] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_settings_in, get_args(annotation))), None)
