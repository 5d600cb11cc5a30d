"""Examples to a model version, from end to end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from components.conversation import Recording
from components.fusion import Clip, MoodlineModel, clip_windows, predict
from components.fusion.tokens import pretrained_tokenizer
from components.profile import (
    Cache,
    Profile,
    Settings,
    file_digest,
    resolve_model,
    tree_digest,
)
from components.train.data import Sound, Split, count_emotions, read_rows, split_rows
from components.train.fitting import Fitted, Item, fit
from components.train.states import (
    answer_rows,
    encode_rows,
    encoder_digest,
    one_thread,
    standardize,
)
from components.train.tracking import log_training
from components.train.version import write_version

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A model version and how it came about.

    Attributes:
        model: its folder.
        digest: of the folder's files; the same for the same examples, profile and machine.
        history: one entry an epoch: training and validation loss, learning rate, scores.
        best_epoch: the one whose weights were kept, by macro F1 on the validation fold.
        validation: that epoch's scores on the validation fold.
        training_examples: how many of each emotion were fitted.
        validation_examples: how many of each emotion chose the epoch.
    """

    model: Path
    digest: str
    history: list[dict[str, float]]
    best_epoch: int
    validation: dict[str, float]
    training_examples: dict[str, int]
    validation_examples: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Run:
    """What both ways of fitting work with."""

    model: MoodlineModel
    tokenizer: "Tokenizer"
    split: Split
    sound: Sound
    profile: Profile
    cache: Cache
    work: Path
    told: Callable[[int], None]

    @property
    def examples(self) -> int:
        return len(self.split.training) + len(self.split.validation)

    def fit(self, module: nn.Module, parts: list[list[Item]]) -> Fitted:
        training, validation = parts
        return fit(
            module,
            training,
            validation,
            self.profile.train,
            self.profile.seed,
            self.work,
            lambda epochs: self.told(self.examples + epochs),
        )


def train(
    examples: Path,
    recordings: Sequence[Recording],
    out_dir: Path,
    profile: Profile,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
) -> TrainResult:
    """Train the fusion model and write it as a version.

    The protocol's test fold is never looked at; its validation fold chooses the epoch. With
    frozen encoders their states are computed once and kept in the cache; without, encoders and
    head are fitted together, each at its own learning rate. A killed run goes on where it stopped.

    Args:
        examples: the Parquet file of `components.label`.
        recordings: the corpus that the examples were cut from.
        out_dir: the version's folder, written whole or not at all.
        progress: called with the steps done (examples read, epochs) and their total.

    Raises:
        InputError: examples without a column, of a recording that is not in the corpus, with an
            empty fold or one emotion, sound that is not numbers, or an encoder that is not there.
    """
    examples, out_dir = Path(examples), Path(out_dir)
    split = split_rows(read_rows(examples), profile.protocol)
    total = len(split.training) + len(split.validation) + profile.train.epochs

    def told(done: int) -> None:
        if progress:
            progress(done, total)

    sound = Sound(recordings, [*split.training, *split.validation])
    acoustic = resolve_model(profile.fusion.acoustic, settings)
    text = resolve_model(profile.fusion.text, settings)
    head = profile.fusion.model_dump(exclude={"acoustic", "text"})
    model = MoodlineModel.from_encoders(acoustic, text, seed=profile.seed, **head)
    nn.Module.to(model, "cuda" if torch.cuda.is_available() else "cpu")
    cache = Cache(settings.cache)
    decides = profile.model_dump(mode="json", include={"seed", "fusion", "train", "protocol"})
    work = cache.path("training", file_digest(examples), encoder_digest(model), decides)
    run = _Run(model, pretrained_tokenizer(text), split, sound, profile, cache, work, told)
    fitted, answers = _fit_head(run) if profile.train.freeze_encoders else _fit_all(run)
    write_version(out_dir, model, fitted, answers, split, sound, profile, acoustic, text)
    told(total)
    result = TrainResult(
        out_dir,
        tree_digest(out_dir),
        fitted.history,
        fitted.best_epoch,
        fitted.validation,
        count_emotions(split.training),
        count_emotions(split.validation),
    )
    log_training(result)
    return result


def _fit_head(run: _Run) -> tuple[Fitted, np.ndarray]:
    """Frozen encoders: their states once, then the head alone; and its answers [n, 4 + d]."""
    rows = [*run.split.training, *run.split.validation]
    encoded = encode_rows(run.model, run.tokenizer, rows, run.sound, run.cache, run.told)
    border = len(run.split.training)
    standardize(run.model, encoded[:border])
    items: list[list[Item]] = [[], []]
    for turn, (row, windows) in enumerate(zip(rows, encoded, strict=True)):
        items[turn >= border].extend(
            {
                "acoustic": window.acoustic,
                "text": window.text,
                "label": row.label,
                "turn": turn if turn < border else turn - border,
                "weight": window.weight,
            }
            for window in windows
        )
    with one_thread():
        fitted = run.fit(run.model.head, items)
        return fitted, answer_rows(run.model.head, encoded)


def _fit_all(run: _Run) -> tuple[Fitted, np.ndarray]:
    """Encoders and head together, from sound and words; and their answers [n, 4 + d]."""
    config = run.model.config
    items: list[list[Item]] = []
    every: list[Clip] = []
    for rows in (run.split.training, run.split.validation):
        clips = [run.sound.clip(row) for row in rows]
        every += clips
        windows = clip_windows(clips, run.tokenizer, config.max_samples, config.max_tokens)
        items.append(
            [
                {
                    "acoustic": window.audio,
                    "text": np.array(window.input_ids),
                    "label": rows[window.clip].label,
                    "turn": window.clip,
                    "weight": window.weight,
                }
                # Neighbours of like length: little of a validation batch is padding.
                for window in sorted(windows, key=lambda window: len(window.audio))
            ]
        )
    run.told(run.examples)
    fitted = run.fit(run.model, items)
    # One at a time: what is kept must not depend on the batches.
    answers = predict(run.model, every, batch_size=1, tokenizer=run.tokenizer)
    return fitted, np.concatenate(answers, axis=1)
