"""The labels that a version tells apart, as its Hugging Face configuration names them."""

from pathlib import Path

from components.base import InputError, read_json
from components.conversation import DEFAULT_LABELS


def version_labels(folder: Path) -> tuple[str, ...]:
    """A version's labels, in the order of its answers, without loading its model.

    Args:
        folder: the version's. One whose `config.json` names none has the default's: there were no
            others when it was made.

    Raises:
        InputError: its `config.json` cannot be read, or does not number its labels from 0 on.
    """
    path = folder / "config.json"
    if not path.is_file():
        return DEFAULT_LABELS
    written = read_json(path)
    names = written.get("id2label") if isinstance(written, dict) else None
    if not names:
        return DEFAULT_LABELS
    numbers = [str(number) for number in range(len(names))]
    if not isinstance(names, dict) or set(names) != {*numbers}:
        raise InputError(f"{path}: its id2label does not number the labels from 0 on")
    return tuple(str(names[number]) for number in numbers)
