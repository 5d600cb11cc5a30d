"""What is run: a profile names the models and the numbers of every step.

The three that ship are `demo.yaml` (models from packages, no GPU), `tiny.yaml` (smaller ones: what
the tests run) and `paper.yaml` (the paper's).

A step of a pipeline is given only the parts of a profile that decide its result, as a model of its
own: what a step cannot see cannot change what it makes. So another gate, say, leaves a trained
model as it is. A profile has the parts of every step; where a step is asked for, a profile will do.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.base import InputError, json_digest
from components.config.cluster import ClusterSettings
from components.config.diarize import CHANNELS, DiarizeSettings
from components.config.gate import GateSettings, validate_settings
from components.config.labels import LabelStep
from components.config.layers import read_layers
from components.config.parts import (
    AlignSettings,
    ExperimentSettings,
    FusionSettings,
    ProtocolSettings,
    ServingSettings,
    Share,
    Step,
    TrainSettings,
    TranscribeSettings,
    added,
)
from components.conversation import Recording, Seconds

MAX_NAME = 40
"""Characters of a profile's name: Kubernetes' names, which begin with it, hold 63."""


class SpeechStep(Step):
    """What the steps that work on sound share.

    Attributes:
        segmentation: which stretches are transcribed and diarized. "vad": the models find speech
            themselves. "reference": the boundaries of the reference utterances (the paper's
            VAD-oracle, Table III), without their speakers and emotions; only for a corpus, since a
            recording alone has no reference.
    """

    segmentation: Literal["vad", "reference"] = "vad"

    def given_stretches(self, recording: Recording) -> Sequence[tuple[Seconds, Seconds]] | None:
        """The stretches that the speech models are given; None if they find speech themselves.

        Raises:
            InputError: they are to be the reference's, and the recording has none.
        """
        if self.segmentation == "vad":
            return None
        if not recording.stretches:
            raise InputError(
                f"{recording.name}: has no reference utterances to take the boundaries from; give"
                " it a reference, or set the profile's segmentation to vad"
            )
        return recording.stretches


class TranscribeStep(SpeechStep):
    """What decides a transcript.

    Attributes:
        by_channel: words are heard on each channel by itself. It follows from `diarize.pipeline`.
    """

    transcribe: TranscribeSettings
    by_channel: Annotated[bool, added(False)] = False


class DiarizeStep(SpeechStep):
    """What decides who speaks when."""

    diarize: DiarizeSettings


class TurnsStep(TranscribeStep, DiarizeStep):
    """What decides a recording's turns."""

    align: AlignSettings = AlignSettings()

    @model_validator(mode="after")
    def _by_channel(self) -> Self:
        by_channel = self.diarize.pipeline == CHANNELS
        if by_channel and self.segmentation != "vad":
            raise ValueError(f"diarize.pipeline: {CHANNELS} goes with segmentation: vad")
        object.__setattr__(self, "by_channel", by_channel)
        return self

    @property
    def hears_again(self) -> bool:
        """Whether the diarizer hears each sentence again, once the words are known."""
        listens = not self.by_channel and self.segmentation == "vad"
        return listens and self.align.method == "evidence"


class TrainStep(TurnsStep, LabelStep):
    """What a version is made from; all of it is written into the version.

    Attributes:
        uncertain_below: an answer with a lower confidence says that it is uncertain; 0: none does.
    """

    name: str
    seed: int = 20260131
    fusion: FusionSettings
    train: TrainSettings = TrainSettings()
    protocol: ProtocolSettings
    serving: Annotated[ServingSettings | None, added()] = None
    uncertain_below: Annotated[Share, Field(exclude_if=lambda value: not value)] = 0.0

    @property
    def models(self) -> tuple[str, ...]:
        """The names of all models that it works with."""
        heard = self.transcribe
        words = (heard.model, heard.align_model or "")
        speakers = () if self.by_channel else (heard.speech or "", self.diarize.pipeline)
        names = (*words, *speakers, self.fusion.acoustic, self.fusion.text)
        return tuple(dict.fromkeys(filter(None, names)))


class Profile(TrainStep):
    """Everything that decides what a run computes; and, in `cluster`, where."""

    gate: GateSettings
    experiment: ExperimentSettings = ExperimentSettings()
    cluster: ClusterSettings = ClusterSettings()

    @model_validator(mode="after")
    def _gate_knows_its_labels(self) -> Self:
        least = self.gate.min_f1
        if isinstance(least, float):  # one number for each label
            each = dict.fromkeys(self.labels, least)
            object.__setattr__(self, "gate", self.gate.model_copy(update={"min_f1": each}))
        for label in least if isinstance(least, dict) else ():
            if label not in self.labels:
                known = ", ".join(self.labels)
                raise ValueError(f"gate: min_f1.{label}: is none of the labels {known}")
        return self

    def digest(self) -> str:
        """The configuration's hash: the same for equal profiles, on every machine and cluster."""
        return json_digest(self.model_dump(mode="json", exclude={"cluster"}))


def load_profile(name: str | Path, changes: Sequence[str] = ()) -> Profile:
    """Load a profile.

    Args:
        name: "demo", "tiny", "paper", a YAML file's path, or a profile as JSON text (that is how a
            pipeline hands it to its steps). It may extend another one, and its `gate` may name a
            gate file, beside it.
        changes: keys to set over it: "train.epochs=5".

    Raises:
        InputError: no such profile, or one with a wrong entry, which it names.
    """
    content, location = read_layers(name, changes)
    profile = validate_settings(Profile, content, location, ("gate",))
    if not re.fullmatch(rf"[a-z0-9]([a-z0-9-]{{0,{MAX_NAME - 2}}}[a-z0-9])?", profile.name):
        raise InputError(
            f"{location}: name: is “{profile.name[:60]}”; take small letters, digits and hyphens,"
            f" {MAX_NAME} at most, no hyphen at an end: names on a cluster begin with it"
        )
    return profile


def load_train_step(name: str | Path) -> TrainStep:
    """Load what training needs, as `load_profile` does, from a profile or those parts alone.

    Raises:
        InputError: as of `load_profile`; the other parts of a profile are not read.
    """
    content, location = read_layers(name, gate=False)
    if isinstance(content, dict):
        others = Profile.model_fields.keys() - TrainStep.model_fields.keys()
        content = {name: value for name, value in content.items() if name not in others}
    return validate_settings(TrainStep, content, location, ("gate",))
