"""Reads text, JSON and YAML that others wrote. A fault is one line that names the file."""

import json
from pathlib import Path
from typing import Any

from components.base.errors import InputError

_MOST_DIGITS = 300  # what a float can hold


def read_text(path: Path, place: str = "") -> str:
    """Read a text file; a byte order mark, as Windows' programs write it, is no part of the text.

    Args:
        path: the file.
        place: what it is called in messages; default: its path.

    Raises:
        InputError: no such file, a folder, not UTF-8, or not to be read.
    """
    place = place or str(path)
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{place}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{place}: is a folder; name a file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: is not a text file in UTF-8: {error}") from None
    except OSError as error:
        raise InputError(f"{place}: cannot be read: {str(error.strerror).lower()}") from None


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: as `read_text` and `parse_json`.
    """
    return parse_json(read_text(path), str(path))


def parse_json(text: str, place: str) -> Any:
    """The content of a JSON text, all of which can be written and computed with.

    Args:
        text: the file's content.
        place: where it comes from, for messages.

    Raises:
        InputError: not JSON, nested too deeply, a number of hundreds of digits, or half a
            character.
    """
    try:
        content = json.loads(text, parse_int=_integer)
        if "\\u" in text:  # half of a surrogate pair can be escaped, and never written again
            json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError(f"{place}: holds half of a character (a lone surrogate, \\ud…)") from None
    except RecursionError:
        raise InputError(f"{place}: is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{place}: is not JSON: {error}") from None
    return content


def parse_yaml(text: str, place: str) -> Any:
    """The content of a YAML text.

    Args:
        text: the file's content.
        place: where it comes from, for messages.

    Raises:
        InputError: not YAML, or nested too deeply.
    """
    import yaml

    try:
        return yaml.safe_load(text)
    except RecursionError:
        raise InputError(f"{place}: is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # a date that is none is a ValueError
        raise InputError(f"{place}: is not YAML: {' '.join(str(error).split())}") from None


def number(value: Any, what: str) -> float:
    """A number; a text of one, as some tools write times, is taken for it.

    Raises:
        ValueError: it is none.
    """
    try:
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            return float(value)
    except ValueError:
        pass
    raise ValueError(f"{what} is {value!r}, not a number")


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)
