"""How sure a version's answers are: its temperature, and below what they are called uncertain."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.base import InputError, read_json


@dataclass(frozen=True, slots=True)
class VersionAnswers:
    """What a version says of its own answers.

    Attributes:
        temperature: that its logits were divided by.
        uncertain_below: an answer with a lower confidence is uncertain; 0: none is.
    """

    temperature: float = 1.0
    uncertain_below: float = 0.0


def version_answers(folder: Path) -> VersionAnswers:
    """What a version says of its answers; one of before says nothing, which is the default.

    Args:
        folder: the version's, with `config.json` and `profile.json`.

    Raises:
        InputError: one of these files cannot be read, or says no number that can be.
    """
    temperature = _number(folder / "config.json", "calibration_temperature", 1.0)
    if temperature <= 0:
        raise InputError(f"{folder / 'config.json'}: calibration_temperature is not above 0")
    below = _number(folder / "profile.json", "uncertain_below", 0.0)
    if not 0 <= below <= 1:
        raise InputError(f"{folder / 'profile.json'}: uncertain_below is not from 0 to 1")
    return VersionAnswers(temperature, below)


def _number(path: Path, key: str, default: float) -> float:
    written: Any = read_json(path) if path.is_file() else {}
    value = written.get(key, default) if isinstance(written, dict) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InputError(f"{path}: {key} is not a number")
    return float(value)
