"""The pipelines as files that Kubeflow Pipelines takes, from 2.15 on."""

import importlib
from pathlib import Path
from typing import Any

from components.base import STDOUT, InputError, atomic_path
from components.config import Profile

PIPELINES = {
    "retrain": "pipelines.definitions.retrain:retrain_pipeline",
    "batch": "pipelines.definitions.batch:batch_pipeline",
    "preprocess": "pipelines.definitions.preprocess:preprocess_pipeline",
}
"""Each pipeline by name: the function ("module:function") that builds it for a profile."""


def build_pipeline(name: str, profile: Profile) -> Any:
    """Build a pipeline for a profile: one of `PIPELINES`, or "module:function" of another."""
    module, function = PIPELINES.get(name, name).split(":")
    return getattr(importlib.import_module(module), function)(profile)


def compile_pipeline(name: str, profile: Profile, path: Path) -> None:
    """Write a pipeline as KFP's IR YAML; what only Kubernetes knows is its second document.

    The file is written whole or not at all.

    Raises:
        InputError: the file's name is none that KFP takes.
    """
    if path != STDOUT and path.suffix not in (".yaml", ".yml"):
        raise InputError(f"{path}: a compiled pipeline is a .yaml file")
    from kfp import compiler

    with atomic_path(path) as temporary:
        compiled = temporary.with_suffix(".yaml")  # kfp writes nothing else
        compiler.Compiler().compile(build_pipeline(name, profile), str(compiled))
        compiled.rename(temporary)
