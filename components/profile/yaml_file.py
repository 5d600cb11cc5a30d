"""YAML that people write: whatever is wrong with it is one line that names the file."""

from typing import Any

import yaml

from components.conversation import InputError


def parse_yaml(text: str, place: str) -> Any:
    """The content of a YAML text.

    Args:
        text: the file's content.
        place: where it comes from, for messages.

    Raises:
        InputError: not YAML, or nested too deeply.
    """
    try:
        return yaml.safe_load(text)
    except RecursionError:
        raise InputError(f"{place}: is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # a date that is none is a ValueError
        raise InputError(f"{place}: is not YAML: {' '.join(str(error).split())}") from None
