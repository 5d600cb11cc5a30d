"""Models by name: prepared ones on this machine, and the hub's, pinned to a commit or not."""

import re
from typing import Annotated

from pydantic import AfterValidator

from components.base import InputError, tree_digest
from components.config.settings import Settings

_PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")
_WHISPER = re.compile(r"(tiny|base|small|medium|large|turbo|distil)([.-][\w.-]+)?")
"""faster-whisper's names of models on the hub."""

_NOT_LOADED = ("*.h5", "*.msgpack", "*.ot", "*.onnx", "onnx/*", "openvino/*", "*.gguf")
"""Weights for other libraries, which a repository on the hub may hold as well."""


def _pinned_to_a_commit(name: str) -> str:
    if "@" in name and not _PINNED.fullmatch(name):
        raise ValueError(
            f"{name!r}: pin a model of the hub to a commit: owner/name@ and its 40 hex digits"
        )
    return name


ModelName = Annotated[str, AfterValidator(_pinned_to_a_commit)]
"""A prepared model's name, or one on the hub: "owner/name@<commit>"; without the commit it is what
its owner makes of it that day."""


def is_prepared(name: str, settings: Settings) -> bool:
    """Whether a model lies on this machine, in the folder of prepared models."""
    return (settings.models / name).is_dir()


def is_unpinned(name: str, settings: Settings) -> bool:
    """Whether what a name means can change on the hub."""
    on_hub = "/" in name or _WHISPER.fullmatch(name)
    return bool(on_hub) and "@" not in name and not is_prepared(name, settings)


def resolve_model(name: str, settings: Settings) -> str:
    """What a library loads a model by: a folder for a prepared or a pinned one, else its name.

    A pinned model is fetched from the hub, unless that very commit is in the hub's cache.

    Raises:
        InputError: it cannot be fetched.
    """
    if is_prepared(name, settings):
        return str((settings.models / name).resolve())
    repository, _, commit = name.partition("@")
    if not commit:
        return name
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return snapshot_download(
            repository, revision=commit, token=settings.token, ignore_patterns=list(_NOT_LOADED)
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise InputError(
            f"{name}: cannot be fetched from the hub: {settings.one_line(error)[:300]}"
        ) from None


def model_digest(name: str, settings: Settings) -> str:
    """What identifies a model: a prepared model's content digest, or a hub model's name."""
    return tree_digest(settings.models / name) if is_prepared(name, settings) else name
