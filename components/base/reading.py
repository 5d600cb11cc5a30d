"""Reads text, JSON and YAML that others wrote. A fault is one line: file, where in it, what."""

import json
from collections.abc import Hashable, Sequence
from functools import cache
from pathlib import Path
from reprlib import repr as shortened
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, from_json

from components.base.errors import InputError
from components.base.storage import Location, Url

T = TypeVar("T")

_MERGE = "tag:yaml.org,2002:merge"

KINDS = {
    **dict.fromkeys(("float_type", "float_parsing", "finite_number", "int_type"), "a number"),
    **dict.fromkeys(("model_type", "dict_type", "dataclass_type"), "an object"),
    "string_type": "a text",
    "string_unicode": "a text of whole characters",
    "list_type": "a list",
    "bool_type": "true or false",
    "name": "a name",
}
"""What a value should have been, by pydantic's type of error."""


def read_text(path: Location, location: str = "") -> str:
    """Read a text file; a byte order mark, as Windows' programs write it, is no part of the text.

    Args:
        location: what the file is called in messages; default: its path.

    Raises:
        InputError: no such file, a folder, not UTF-8, or not to be read.
        Unavailable: the object store does not answer.
    """
    location = location or str(path)
    try:
        if isinstance(path, Url):
            return path.read_bytes().decode("utf-8-sig")
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{location}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{location}: is a folder; name a file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{location}: is not a text file in UTF-8: {error}") from None
    except OSError as error:
        raise InputError(f"{location}: cannot be read: {str(error.strerror).lower()}") from None


def read_json(path: Location) -> Any:
    """Read a JSON file.

    Raises:
        InputError: as `read_text` and `parse_json`.
    """
    return parse_json(read_text(path), str(path))


def parse_json(text: str, location: str) -> Any:
    """The content of a JSON text, all of which can be written again; an error names `location`.

    >>> parse_json('{"seed": 1, "seed": 2}', "mine.json")
    Traceback (most recent call last):
    components.base.errors.InputError: mine.json: 'seed' is named twice in one object; name it once

    Raises:
        InputError: not JSON, nested too deeply, a number of thousands of digits, half a
            character, or a key of one object is named twice.
    """
    try:
        content = from_json(text)
    except ValueError as error:
        raise InputError(f"{location}: is not JSON: {error}") from None
    check_named_once(text, location)
    return content


def check_named_once(text: str, location: str) -> None:
    """Refuse JSON in which one object names a key twice: parsers take the last one in silence.

    Args:
        text: JSON; of what is none, another reader says so.
        location: what it is called in the message.

    Raises:
        InputError: a key is named twice.
    """

    def once(pairs: list[tuple[str, Any]]) -> None:
        names = dict(pairs)
        if len(names) == len(pairs):
            return
        for name, _ in pairs:
            if name not in names:
                raise InputError(f"{location}: {name!r} is named twice in one object; name it once")
            del names[name]

    try:
        json.loads(text, object_pairs_hook=once)
    except InputError:
        raise
    except (ValueError, RecursionError):
        return


def parse_yaml(text: str, location: str) -> Any:
    """The content of a YAML text; an error names `location`.

    >>> parse_yaml("seed: 1\\nname: mine\\nseed: 2", "mine.yaml")
    Traceback (most recent call last):
    components.base.errors.InputError: mine.yaml: line 3: 'seed' is also in line 1; name it once

    Raises:
        InputError: not YAML, nested too deeply, or a key of one mapping is named twice.
    """
    import yaml

    flat: set[yaml.MappingNode] = set()

    class Once(yaml.SafeLoader):
        """YAML's own rule, which PyYAML does not hold: a key is named once, however it is
        spelled. A key that `<<` brings in may be named again."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            lines: dict[Any, int] = {}
            own = [] if node in flat else [key for key, _ in node.value]
            flat.add(node)  # from now on it holds what `<<` brought in, too
            for key in (key for key in own if isinstance(key, yaml.ScalarNode)):
                line = key.start_mark.line + 1
                name = "<<" if key.tag == _MERGE else self.construct_object(key)
                if not isinstance(name, Hashable):  # PyYAML refuses it
                    continue
                if name in lines:
                    raise InputError(
                        f"{location}: line {line}: {key.value!r} is also in line {lines[name]};"
                        " name it once"
                    )
                lines[name] = line
            super().flatten_mapping(node)

    try:
        return yaml.load(text, Once)
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{location}: is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # a date that is none is a ValueError
        raise InputError(f"{location}: is not YAML: {' '.join(str(error).split())}") from None


def validate(kind: type[T], content: Any, location: str) -> T:
    """Content of JSON or YAML as a pydantic model, a dataclass, or any type pydantic knows.

    Raises:
        InputError: it is not of that type; the message names `location` and the first fault.
    """
    try:
        valid: T = _adapter(kind).validate_python(content)  # type: ignore[arg-type]  # a type is hashable
    except ValidationError as error:
        raise InputError(f"{location}: {first_fault(error)}") from None
    return valid


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def first_fault(error: ValidationError) -> str:
    """The first fault that a validation found, as one line.

    >>> from pydantic import BaseModel
    >>> class Word(BaseModel):
    ...     start: float
    >>> class Segment(BaseModel):
    ...     words: list[Word]
    >>> try:
    ...     Segment(words=[{"start": 0.5}, {"start": "soon"}])
    ... except ValidationError as error:
    ...     first_fault(error)
    "word 2: 'start' is 'soon', not a number"
    """
    fault = error.errors(include_url=False, include_context=False)[0]
    where, name = _location(fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        return f"{where}lacks {name!r}"
    value = f"{repr(name) + ' ' if name else ''}is {shortened(fault['input'])}"
    if fault["type"] in KINDS:
        return f"{where}{value}, not {KINDS[fault['type']]}"
    if message.startswith("Input should"):
        return f"{where}{value}; it {message.removeprefix('Input ')}"
    return f"{where}{name}: {message}" if name else f"{where}{message}"


def _location(steps: Sequence[str | int]) -> tuple[str, str]:
    """Where in lists it is, counted from 1 ("segment 3: word 2: "), and the name within."""
    where, name = "", ""
    for step in steps:
        if isinstance(step, int):
            where, name = f"{where}{name.removesuffix('s')} {step + 1}: ".lstrip(), ""
        else:
            name = f"{name}.{step}" if name else step
    return where, name


def no_bool(value: Any) -> Any:
    """The value itself; true and false, which Python takes for 1 and 0, are refused."""
    if isinstance(value, bool):
        raise PydanticCustomError("float_type", "Input should be a number")
    return value


def _name(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise PydanticCustomError("name", "Input should be a name")
    return value


Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(no_bool)]
"""A finite number; a text of one, as some tools write times, is taken for it."""

Name = Annotated[str, Field(coerce_numbers_to_str=True), BeforeValidator(_name)]
"""A text that is not blank; a number, as some tools write labels, is taken for its digits."""
