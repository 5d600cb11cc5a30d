"""The labels of a profile, and what it makes of other names in the data."""

import unicodedata
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from components.config.parts import Step
from components.conversation import DEFAULT_LABELS, IGNORE, NO_ANSWER

MAX_LABEL = 40
"""Characters of a label: it stands in tables, metrics and on the page."""


def _checked_label(label: str) -> str:
    label = unicodedata.normalize("NFC", label)
    letters = {char for char in label if unicodedata.category(char)[0] in "LMN"}
    others = set(label) - letters - set(" -_'")
    if others or label != label.strip() or label[:1] not in letters:
        raise ValueError(
            f"the label {label[:60]!r} must begin with a letter or digit, and may hold letters,"
            " digits, spaces and - _ '"
        )
    if len(label) > MAX_LABEL:
        raise ValueError(f"the label {label[:20]!r}… has more than {MAX_LABEL} characters")
    if label in (IGNORE, NO_ANSWER):
        raise ValueError(f"the label {label!r} has a meaning of its own here; choose another name")
    return label


def _checked_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    if len(labels) < 2:
        named = f"only {labels[0]!r}" if labels else "nothing"
        raise ValueError(f"names {named}; a model tells two labels or more apart")
    seen: dict[str, str] = {}
    for label in labels:
        if other := seen.setdefault(label.casefold(), ""):
            raise ValueError(f"names {label!r} beside {other!r}; name each label once")
        seen[label.casefold()] = label
    return labels


# Profiles of before have neither. Defaults are not written, so that their digest stays.
Label = Annotated[str, AfterValidator(_checked_label)]
Labels = Annotated[
    tuple[Label, ...],
    AfterValidator(_checked_labels),
    Field(exclude_if=lambda labels: labels == DEFAULT_LABELS),
]
LabelMap = Annotated[dict[str, str], Field(exclude_if=lambda names: not names)]


class LabelStep(Step):
    """What decides an utterance's label.

    Attributes:
        labels: the emotions that a model tells apart, in the order of its answers.
        label_map: what other names in the data mean: a label, or `IGNORE`.
    """

    labels: Labels = DEFAULT_LABELS
    label_map: LabelMap = Field(default_factory=dict)

    @model_validator(mode="after")
    def _maps_to_its_labels(self) -> Self:
        for name, label in self.label_map.items():
            if label not in (*self.labels, IGNORE):
                known = ", ".join((*self.labels, IGNORE))
                raise ValueError(f"label_map: {name!r} is mapped to {label!r}; known: {known}")
            if name in self.labels:
                raise ValueError(f"label_map: {name!r} is a label itself; map it, or list it")
        return self

    def knows(self, name: str) -> bool:
        """Whether a name in the data is listed or mapped."""
        return name in self.labels or name in self.label_map

    def meaning(self, name: str) -> str:
        """The label that a name in the data stands for; of one that is not scored itself."""
        label = self.label_map.get(name, name)
        return name if label == IGNORE else label
