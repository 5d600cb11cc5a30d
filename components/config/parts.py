"""The parts of a profile: the models and the numbers of each step."""

import hashlib
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from components.base import json_digest
from components.config.models import ModelName
from components.conversation import FEEDBACK, MAX_PAUSE, Seconds

Language = Annotated[str, Field(pattern=r"^(auto|[a-z]{2,3})$")]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
HeldOut = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(gt=0)]
Device = Literal["auto", "cpu", "cuda"]
Part = Literal["training", "validation", "test", "holdout"]

Pause = Annotated[
    Annotated[Literal["auto"], Tag("auto")]
    | Annotated[Seconds, Field(ge=0, le=MAX_PAUSE), Tag("seconds")],
    Discriminator(lambda value: "auto" if value == "auto" else "seconds"),
]
"""The longest pause in a turn: seconds, or “auto”, what is usual in a recording. The two are told
apart first, so that a wrong one is refused in one line."""

TOLERANCES = {"fp32": 1e-4, "fp16": 0.01}
"""Of golden probabilities, by precision. How fp16's was chosen: docs/benchmarks.md."""


def added(default: Any = None) -> Any:
    """A field that profiles of before lack. Where it has this default it is not written, so that
    their digest, which names finished work, stays what it was."""
    return Field(exclude_if=lambda value: value == default)


class Frozen(BaseModel):
    """Values that are checked, cannot be changed, and have no other names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(Frozen):
    """The parts of a profile that decide the result of a step."""

    @classmethod
    def of(cls, profile: Self) -> Self:
        """Only the step's own parts of a profile."""
        return cls(**{name: getattr(profile, name) for name in cls.model_fields})

    def digest(self) -> str:
        """The configuration's hash: the same for equal values, on every machine."""
        return json_digest(self.model_dump(mode="json"))


class TranscribeSettings(Frozen):
    """Audio to words, by WhisperX.

    Attributes:
        model: a faster-whisper model: a name on the hub or of a prepared model.
        word_times: where they come from: "ctc" is WhisperX's own alignment by a wav2vec 2.0 CTC
            model, "pocketsphinx" forced alignment by its acoustic model.
        align_model: the CTC model; None takes WhisperX's for the language.
        language: its code, or "auto": each recording's is heard. A caller may say another one.
            Words in a language that the aligner does not know get rougher times, by attention.
        speech: the prepared diarization pipeline whose segmentation network says where somebody
            speaks; None: WhisperX's own. Where it is the profile's own pipeline, one pass of the
            network serves both.
    """

    model: ModelName
    word_times: Literal["ctc", "pocketsphinx"]
    align_model: ModelName | None = None
    language: Language = "en"
    device: Device = "auto"
    compute_type: str = "int8"
    batch_size: Count = 8
    speech: Annotated[ModelName | None, added()] = None


class AlignSettings(Frozen):
    """Words and speaker segments to turns.

    Attributes:
        method: "overlap" gives each word to the one who speaks longest inside it, as the paper
            does; "evidence" finds one best path of speakers over all words, by sentences and pauses
            besides.
        max_pause: a longer pause begins a new turn; "auto" takes what is usual in each recording.
        baseline: no alignment, whatever the method; each ASR segment goes to one speaker as a
            whole.
    """

    method: Annotated[Literal["overlap", "evidence"], added("overlap")] = "overlap"
    max_pause: Pause = 1.5
    baseline: bool = False


class FusionSettings(Frozen):
    """The bimodal model.

    Attributes:
        acoustic: the speech encoder: a name on the hub or of a prepared model.
        acoustic_layers: how many of its Transformer layers are used, from below; None takes all.
        text: the text encoder, likewise.
        text_languages: codes of the languages that it knows; recordings in others get a note.
            None: not known.
        attend: "pooled" is the paper's form, "frames" attends before pooling.
        use_weighted_layer_sum: mix the states of all the speech encoder's layers by learned
            weights, as SUPERB does; otherwise the last one's are taken.
        pooling: of the sound's frames: "mean" is the paper's form, "statistics" takes the standard
            deviation, too.
        linear_shortcut: add a linear map of the pooled sound, each layer's by itself, to the
            fusion's answer: on few examples that is what generalises.
        hidden_size: the width of the head; None takes the text encoder's.
        max_seconds: longer turns are cut into windows of at most this.
    """

    acoustic: ModelName
    acoustic_layers: Count | None = None
    text: ModelName
    text_languages: Annotated[tuple[str, ...] | None, added()] = None
    attend: Literal["pooled", "frames"] = "pooled"
    use_weighted_layer_sum: Annotated[bool, added(False)] = False
    pooling: Annotated[Literal["mean", "statistics"], added("mean")] = "mean"
    linear_shortcut: Annotated[bool, added(False)] = False
    hidden_size: Annotated[Count | None, added()] = None
    heads: Count = 8
    layers: Count = 2
    feed_forward: Count = 2048
    dropout: Share = 0.2
    max_seconds: Annotated[Seconds, Field(gt=0, le=30)] = 30.0

    @model_validator(mode="after")
    def _pools_what_it_attends(self) -> Self:
        if self.attend == "frames" and (self.pooling != "mean" or self.linear_shortcut):
            what = "linear_shortcut" if self.linear_shortcut else f"pooling: {self.pooling}"
            raise ValueError(f"{what}: goes with attend: pooled, not frames")
        return self

    def paper_form(self) -> Self:
        """Of the same encoders and widths, without what the paper's model does not have."""
        added = {"use_weighted_layer_sum": False, "pooling": "mean", "linear_shortcut": False}
        return self.model_copy(update=added)


class LoraSettings(Frozen):
    """Low-rank changes of the encoders' linear layers, fitted in their place (Hu et al. 2021).

    Attributes:
        rank: of each change; the larger, the more it can learn and the more memory it takes.
        alpha: a change counts `alpha / rank` times.
        dropout: of what goes into a change.
    """

    rank: Count = 8
    alpha: Count = 16
    dropout: Share = 0.0


class TrainSettings(Frozen):
    """How the model is fitted.

    Attributes:
        batch_size: examples in a step, over all processes together.
        patience: epochs without a better validation score before it stops.
        metric_for_best_model: of the validation part, which chooses the epoch: the highest
            "macro_f1" or the lowest "loss".
        class_weights: whether a rare emotion counts as much as a common one.
        precision: of the sums; "auto" is bfloat16 (or float16, if that is all it has) on a GPU and
            float32 on a CPU. Weights are always float32.
        gradient_checkpointing: compute layers twice and keep less in memory. It is slower, and
            allows longer turns or larger batches on a GPU.
        processes: that train together under torchrun; "auto" is one for each GPU.
        accumulate: in how many parts each process computes its share of a batch, for less memory;
            the gradients add up to the same.
        lora: encoders too large to be fitted whole: only low-rank changes of them are, which are
            part of their weights in the version. None: all their weights are fitted.
        compile: let torch compile the module that is fitted, which takes minutes at first.
        augment: how often training examples are heard in other conditions (noise, a telephone, a
            room, another speed or loudness, silence around), from 0, never, to 1: half in each.
        augment_copies: how many such variants of an example frozen encoders hear; an epoch takes
            one of these or the original. Encoders that are fine-tuned hear a new one every epoch.
    """

    freeze_encoders: bool = True
    epochs: Count = 30
    batch_size: Count = 32
    learning_rate: Positive = 1e-4
    encoder_learning_rate: Positive = 2e-5
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    patience: Count = 5
    metric_for_best_model: Annotated[Literal["macro_f1", "loss"], added("macro_f1")] = "macro_f1"
    class_weights: bool = False
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    gradient_checkpointing: bool = False
    processes: Count | Literal["auto"] = "auto"
    accumulate: Annotated[Count, added(1)] = 1
    lora: Annotated[LoraSettings | None, added()] = None
    compile: Annotated[bool, added(False)] = False
    augment: Annotated[Share, added(0.0)] = 0.0
    augment_copies: Annotated[Count, added(3)] = 3

    @model_validator(mode="after")
    def _changes_what_is_fitted(self) -> Self:
        if self.lora and self.freeze_encoders:
            raise ValueError("lora: goes with freeze_encoders: false; frozen encoders are as given")
        return self


class ServingSettings(Frozen):
    """How a version is served on a GPU. On processors it is always float32.

    Attributes:
        precision: of TensorRT's sums.
        tolerance: the largest difference from a golden probability with which a server takes
            traffic; None: that of the precision.
    """

    precision: Literal["fp32", "fp16"] = "fp32"
    tolerance: HeldOut | None = None

    @property
    def largest_difference(self) -> float:
        """The tolerance that holds."""
        return self.tolerance or TOLERANCES[self.precision]


class ProtocolSettings(Frozen):
    """What is held out to test the model, and what to choose it; the rest is trained on.

    A gate that judges every model on one test part chooses by it, and in time by its chances. So a
    holdout may be set aside that no gate reads; `moodline evaluate --fold holdout` does, now and
    then.

    Each of the parts is a fold of the corpus, or a share of its recordings: those whose name's
    hash falls into it. So a recording keeps its part when the corpus grows or shrinks. (A share
    looks at names only: a speaker of several recordings may be in both parts. To prevent that, give
    each speaker's recordings a fold.)

    The fold `FEEDBACK`, which came back from traffic, is only trained on.

    Attributes:
        test_share: of the recordings, for instance 0.2, instead of `test_fold`.
        validation_share: of all recordings, instead of `validation_fold`.
        holdout_fold, holdout_share: likewise, if there is to be one.
    """

    test_fold: str | None = None
    test_share: HeldOut | None = None
    validation_fold: str | None = None
    validation_share: HeldOut | None = None
    holdout_fold: Annotated[str | None, added()] = None
    holdout_share: Annotated[HeldOut | None, added()] = None

    @model_validator(mode="after")
    def _are_two_parts(self) -> Self:
        for part, fold, share in (
            ("test", self.test_fold, self.test_share),
            ("validation", self.validation_fold, self.validation_share),
            ("holdout", self.holdout_fold, self.holdout_share),
        ):
            both, none = None not in (fold, share), fold is share is None
            if both or (none and part != "holdout"):
                raise ValueError(f"give either {part}_fold or {part}_share")
            if fold == FEEDBACK:
                raise ValueError(f"what came back from traffic ({FEEDBACK}) is only trained on")
        if self.holdout_fold and self.holdout_fold in (self.test_fold, self.validation_fold):
            raise ValueError(f"{self.holdout_fold} cannot be the holdout and another part, too")
        if sum(s or 0 for s in (self.test_share, self.validation_share, self.holdout_share)) >= 1:
            shares = "test_share, validation_share and holdout_share"
            raise ValueError(f"{shares} leave nothing to train on")
        return self

    def part(self, recording: str, fold: str) -> Part:
        """Where a recording belongs, by its name and its fold."""
        if fold == FEEDBACK:
            return "training"
        position, below = _position(recording), 0.0
        parts: tuple[tuple[Part, str | None, float | None], ...] = (
            ("test", self.test_fold, self.test_share),
            ("validation", self.validation_fold, self.validation_share),
            ("holdout", self.holdout_fold, self.holdout_share),
        )
        for part, held_fold, share in parts:
            below += share or 0.0  # a position under the shares before is gone already
            if fold == held_fold or position < below:
                return part
        return "training"

    @property
    def test(self) -> str:
        """The test part in words: its fold, or what share."""
        return self.test_fold or _share(self.test_share)

    @property
    def validation(self) -> str:
        """The validation part in words, likewise."""
        return self.validation_fold or _share(self.validation_share)

    @property
    def holdout(self) -> str:
        """The holdout in words, likewise; empty where there is none."""
        return self.holdout_fold or (_share(self.holdout_share) if self.holdout_share else "")


def _share(share: float | None) -> str:
    return f"{100 * (share or 0):g} % of the recordings by the hash of the name"


def _position(recording: str) -> float:
    """A number from 0 to 1 that is always the same for a name."""
    digest = hashlib.sha256(recording.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


class ExperimentSettings(Frozen):
    """How `moodline experiment` trains each system, on every fold.

    Attributes:
        seeds: how often, each time from another seed; the profile's own comes first.
        published: whose printed numbers stand beside those that are measured: the paper's (None;
            they are of the default labels), or those of Wu et al. 2023, of their six categories.
        frozen: the paper's strategy “frozen embeddings”.
        fine_tuned: the paper's strategy “fine-tuned embeddings”.
    """

    seeds: Count = 1
    frozen: TrainSettings = TrainSettings(freeze_encoders=True)
    fine_tuned: TrainSettings = TrainSettings(freeze_encoders=False)
    published: Annotated[Literal["wu2023"] | None, added()] = None

    @model_validator(mode="after")
    def _are_what_they_say(self) -> Self:
        if not self.frozen.freeze_encoders or self.fine_tuned.freeze_encoders:
            raise ValueError("frozen must freeze the encoders, and fine_tuned must not")
        return self
