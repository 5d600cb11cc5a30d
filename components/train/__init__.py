"""Labelled examples become a model version: one folder with all that serving and watching need."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.train.training import TrainResult, train

_HOMES = {"TrainResult": "training", "train": "training"}

__all__ = ["TrainResult", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
