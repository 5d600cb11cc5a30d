"""The part of a profile that says how speakers are found."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from components.config.models import ModelName
from components.config.parts import Device, Frozen, Share, added
from components.conversation import MAX_SPEAKERS

LIKENESS = {"diarization-campplus": 0.65, "diarization-demo": 0.8}
"""By pipeline, the cosine above which two voices are one person's (docs/benchmarks.md). Of others
it was not measured: they get that of CAM++."""

CHANNELS = "channels"
"""In place of a diarization pipeline: each channel has its speaker."""


def check_speaker_counts(number: int | None, least: int | None, most: int | None) -> None:
    """Refuse numbers of speakers that contradict each other; None: not known.

    Raises:
        ValueError: the number is given and a limit of it, or the limits cross.
    """
    if number is not None and (least is not None or most is not None):
        raise ValueError("num_speakers is exact: leave out min_speakers and max_speakers")
    if least is not None and most is not None and least > most:
        raise ValueError(f"min_speakers {least} is above max_speakers {most}")


SpeakerCount = Annotated[int, Field(ge=1, le=MAX_SPEAKERS)]


class DiarizeSettings(Frozen):
    """Audio to speaker segments, by a pyannote.audio pipeline, or by channels.

    Attributes:
        pipeline: a name on the hub or of a prepared model; or "channels": each channel is a
            speaker, words are heard on each, and a recording of one channel is refused.
        num_speakers: in every recording of a corpus, if it is known; not with channels, which are
            as many as a recording has.
        min_speakers, max_speakers: likewise, where it is known within limits.
        same_voice: how much a speaker must sound like a sample of a voice (cosine of the pipeline's
            embeddings) to get its name; None: see `likeness`.
    """

    pipeline: ModelName
    num_speakers: SpeakerCount | None = None
    min_speakers: Annotated[SpeakerCount | None, added()] = None
    max_speakers: Annotated[SpeakerCount | None, added()] = None
    same_voice: Annotated[Share | None, added()] = None
    device: Device = "auto"

    @property
    def likeness(self) -> float:
        """`same_voice`, or what was chosen for the pipeline's embeddings."""
        chosen = LIKENESS.get(self.pipeline, LIKENESS["diarization-campplus"])
        return chosen if self.same_voice is None else self.same_voice

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        check_speaker_counts(self.num_speakers, self.min_speakers, self.max_speakers)
        return self
