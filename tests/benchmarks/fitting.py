"""A profile's training part for benchmarks that fit a module."""

from typing import Any

from components.config import Profile, TrainStep, load_profile


def train_step(**how: Any) -> TrainStep:
    """The tiny profile with another `train` part."""
    base = load_profile("tiny").model_dump(mode="json")
    return TrainStep.of(Profile.model_validate({**base, "train": how}))
