"""A profile's layers: a file may extend another one, and single keys may be set over both.

extends: demo          # or a file, by its path from this one's folder
train: {epochs: 5}     # what is not named stays as it is there
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.base import InputError, parse_yaml, read_text
from components.config.gate import load_gate

_FOLDER = Path(__file__).parent


def read_layers(
    name: str | Path, changes: Sequence[str] = (), *, gate: bool = True
) -> tuple[Any, str]:
    """A profile's content, its layers put together, and how an error names it.

    Args:
        changes: keys with values, each as "train.epochs=5"; values are YAML.
        gate: read the gate file where a layer names one.

    Raises:
        InputError: no such profile, no YAML, a circle of files, a change that is none.
    """
    text = str(name)
    if text.lstrip().startswith("{"):
        location = "the profile"
        content = _extended(parse_yaml(text, location), location, Path(), (), gate)
    else:
        location, content = text, _read(text, Path(), (), gate)
    for change in changes:
        content = _merged(content, _change(change))
        content = _with_gate(content, Path(), gate)
    return content, location


def _read(text: str, folder: Path, above: tuple[Path, ...], gate: bool) -> Any:
    """A file's content with what it extends; `above`: the files that led to it."""
    shipped = _FOLDER / f"{text}.yaml"
    path = shipped if "/" not in text and shipped.is_file() else folder / text
    if not path.is_file():
        asked = f"{above[-1]}: extends {text}" if above else text
        raise InputError(f"{asked}: no such profile; name demo, tiny, paper, or a YAML file")
    if path.resolve() in above:
        way = " extends ".join(part.name for part in (*above, path))
        raise InputError(f"{path}: extends itself: {way}")
    # A file of the reader's own is named as they named it.
    location = text if not above else str(path)
    content = parse_yaml(read_text(path, location), location)
    if isinstance(content, dict) and "extends" in content and "name" not in content:
        # What differs does not run under the same name.
        content = content | {"name": path.stem}
    return _extended(content, location, path.parent, (*above, path.resolve()), gate)


def _extended(
    content: Any, location: str, folder: Path, above: tuple[Path, ...], gate: bool
) -> Any:
    """A layer's content over that of the layer that it extends, if it extends one."""
    content = _with_gate(content, folder, gate)
    if not isinstance(content, dict) or "extends" not in content:
        return content
    base = content["extends"]
    if not isinstance(base, str):
        raise InputError(
            f"{location}: extends: name one profile: demo, tiny, paper, or a YAML file"
        )
    own = {key: value for key, value in content.items() if key != "extends"}
    below = _read(base, folder, above, gate)
    if not isinstance(below, dict):
        raise InputError(f"{location}: extends {base}, which is no profile: it holds no keys")
    return _merged(below, own)


def _with_gate(content: Any, folder: Path, gate: bool) -> Any:
    """The content, with the checks of the gate file where it names one."""
    if not gate or not isinstance(content, dict) or not isinstance(content.get("gate"), str):
        return content
    checks = load_gate(folder / content["gate"])
    return content | {"gate": checks.model_dump(mode="json", exclude_unset=True)}


def _merged(below: Any, above: Any) -> Any:
    """Mappings key by key; of anything else, what lies above. Neither is changed."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    both = {key: _merged(below[key], above[key]) for key in below.keys() & above.keys()}
    return below | above | both


def _change(change: str) -> dict[str, Any]:
    """One change as a layer of its own."""
    key, equals, value = change.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise InputError(f"--set {change}: write a key and its value, as in train.epochs=5")
    layer: Any = parse_yaml(value, f"--set {change}")
    for part in reversed(parts):
        layer = {part: layer}
    return dict(layer)
