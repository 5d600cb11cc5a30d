"""The labels of a profile, and what it makes of other names in the data."""

import unicodedata
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from components.conversation import DEFAULT_LABELS, IGNORE

MAX_LABEL = 40
"""Characters of a label: it stands in tables, metrics and on the page."""

NO_ANSWER = "none"
"""Stands in tables for an utterance without an answer, so no label may be called so."""


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


def check_map(labels: Sequence[str], label_map: dict[str, str]) -> None:
    """Refuse a map that leads nowhere.

    Raises:
        ValueError: a name is mapped to what is no label, or is a label itself.
    """
    for name, label in label_map.items():
        if label not in (*labels, IGNORE):
            known = ", ".join((*labels, IGNORE))
            raise ValueError(
                f"label_map: {name!r} is mapped to {label!r}, which is none of {known}"
            )
        if name in labels:
            raise ValueError(f"label_map: {name!r} is a label itself; map it, or list it")


# Profiles of before have neither. Defaults are not written, so that their digest stays.
Label = Annotated[str, AfterValidator(_checked_label)]
Labels = Annotated[
    tuple[Label, ...],
    AfterValidator(_checked_labels),
    Field(exclude_if=lambda labels: labels == DEFAULT_LABELS),
]
LabelMap = Annotated[dict[str, str], Field(exclude_if=lambda names: not names)]
