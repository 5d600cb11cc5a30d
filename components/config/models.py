"""Models by name: prepared ones on this machine, and the hub's, pinned to a commit or not."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from components.base import InputError, parse_yaml, tree_digest
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


def hub_commit(name: str) -> str:
    """The commit that a hub model's name means on this machine; empty where that is not known.

    For a name without one it is what the hub's cache has as the repository's main branch, whose
    files a library takes.
    """
    repository, _, commit = name.partition("@")
    if commit:
        return commit
    if _WHISPER.fullmatch(repository):
        from faster_whisper.utils import _MODELS

        repository = _MODELS.get(repository, repository)
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repository, repo_type="model"))
    main = folder / "refs" / "main"
    try:
        commit = main.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return commit if (folder / "snapshots" / commit).is_dir() else ""


def parts_of(pipeline: str, settings: Settings) -> tuple[str, ...]:
    """The hub's models that a diarization pipeline of the hub names in its `config.yaml`."""
    commit = hub_commit(pipeline)
    if is_prepared(pipeline, settings) or not commit:
        return ()
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(pipeline.partition("@")[0], "config.yaml", revision=commit)
    if not isinstance(path, str):
        return ()
    content = parse_yaml(Path(path).read_text(encoding="utf-8"), path)
    named = content.get("pipeline", {}).get("params", {}) if isinstance(content, dict) else {}
    values = (named.get(key) for key in ("segmentation", "embedding", "plda"))
    return tuple(v for v in values if isinstance(v, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", v))


def model_revisions(names: Iterable[str], settings: Settings) -> dict[str, str]:
    """What each model was on this machine: a prepared one's digest, a hub one's commit.

    Returns:
        By name; empty where a hub model's commit is not known.
    """
    return {
        name: model_digest(name, settings) if is_prepared(name, settings) else hub_commit(name)
        for name in names
    }


def model_digest(name: str, settings: Settings) -> str:
    """What identifies a model: a prepared model's content digest, or a hub model's name."""
    return tree_digest(settings.models / name) if is_prepared(name, settings) else name
