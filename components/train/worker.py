"""One process's part of a training: encode, fit, and write the version."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accelerate.utils import broadcast_object_list
from tokenizers import Tokenizer
from torch import cuda, nn

from components.base import Cache, file_digest, tree_digest
from components.config import (
    Settings,
    TrainStep,
    model_revisions,
    parts_of,
    resolve_model,
    speech_digests,
)
from components.fusion.model import MoodlineModel
from components.fusion.probe import Probe
from components.fusion.tokens import pretrained_tokenizer
from components.scoring import Temperature, fit_temperature
from components.train.adapters import add_adapters, merge_adapters
from components.train.answering import Answers, answer, measure
from components.train.augment import Heard
from components.train.data import Row, Sound, Split, count_emotions
from components.train.faults import read_faults
from components.train.loop import fit
from components.train.probe import fit_probe
from components.train.processes import (
    is_first_on_node,
    node_name,
    own_device,
    processes_here,
    rank,
    world_size,
)
from components.train.shards import States
from components.train.states import encode_rows, encoder_digest, one_thread, standardize
from components.train.tracking import TrainingRun, system_metrics
from components.train.version import (
    History,
    TrainResult,
    best_entry,
    validation_scores,
    write_version,
)
from components.train.windows import Item, SoundWindows, StateWindows

logger = logging.getLogger(__name__)

VERSION = 3
"""The version of fitting. Raise it when fitting or the choice of the epoch changes: a training that
older code left half done then starts anew, and does not mix both. (2: macro F1 is over the
reference's labels. 3: turns are read while it is fitted.)"""


@dataclass(frozen=True, slots=True)
class _Training:
    """What both ways of fitting work with.

    Attributes:
        work: the folder of checkpoints.
        report: called with the number of steps done (examples, epochs).
    """

    model: MoodlineModel
    tokenizer: Tokenizer
    split: Split
    sound: Sound
    profile: TrainStep
    settings: Settings
    work: Path
    report: Callable[[int], None]
    run: TrainingRun

    def encode(
        self,
        rows: Sequence[Row],
        heard: Heard | None = None,
        recorded: States | None = None,
    ) -> States:
        """The windows of each row with their states, as recorded or in other conditions; see
        `encode_rows`."""
        cache = self.settings.finished
        return encode_rows(
            self.model,
            self.tokenizer,
            rows,
            sound=self.sound,
            cache=cache,
            # Only the rows themselves are counted: their number is known before.
            report=(lambda _: None) if heard else self.report,
            heard=heard,
            recorded=recorded,
        )

    def heard(self, number: int) -> Heard:
        """The conditions of an epoch, or of a copy, by its number."""
        return Heard(self.profile.train.augment, self.profile.seed, number)

    def probe(self, rows: Sequence[Row], encoded: States, *, pretrained: bool) -> Probe | None:
        """Fit the linear probe to training examples' windows; the first process does."""
        if rank():
            return None
        labels = [row.label for row in rows]
        with one_thread():
            return fit_probe(encoded, labels, self.profile.labels, pretrained=pretrained)

    def fit(
        self,
        module: nn.Module,
        parts: Sequence[Sequence[Item]],
        vary: Callable[[int, int], Item] | None = None,
        readers: int = 0,
    ) -> History:
        """Fit a module to the first part's windows; the second part's choose the epoch."""

        def on_epoch(history: History) -> None:
            self.run.log(history)
            self.report(len(self.split.rows) + len(history))

        return fit(
            module,
            training=parts[0],
            validation=parts[1],
            profile=self.profile,
            work=self.work,
            on_epoch=on_epoch,
            checkpoint_seconds=self.settings.checkpoint_seconds,
            vary=vary,
            readers=readers,
        )


def train_in_process(
    examples: Path,
    split: Split,
    sound: Sound,
    out_dir: Path,
    profile: TrainStep,
    settings: Settings,
    report: Callable[[int], None],
) -> TrainResult:
    """Train in this process, as one of those that `torchrun` started or alone.

    Args:
        report: called with the number of steps done (examples, epochs).
    """
    acoustic = resolve_model(profile.fusion.acoustic, settings)
    text = resolve_model(profile.fusion.text, settings)
    head = profile.fusion.model_dump(exclude={"acoustic", "text"})
    model = MoodlineModel.from_encoders(
        acoustic, text, seed=profile.seed, labels=profile.labels, **head
    )
    nn.Module.to(model, own_device())
    decides = profile.model_dump(
        mode="json", include={"seed", "labels", "fusion", "train", "protocol"}
    )
    sound.note(split.rows)
    heard = sound.digests(split.rows)
    key = (VERSION, file_digest(examples), heard, encoder_digest(model), decides, world_size())
    work = Cache(settings.cache).path("training", *key)
    run = TrainingRun(settings, work.name, file_digest(examples), sound.place, first=rank() == 0)
    run.open()
    training = _Training(
        model, pretrained_tokenizer(text), split, sound, profile, settings, work, report, run
    )
    run_id, uri = broadcast_object_list([run.id, run.uri])
    with system_metrics(run_id if is_first_on_node() else "", uri, node_name()):
        fit_it = _fit_head if profile.train.freeze_encoders else _fit_all
        history, answers, probe = fit_it(training)
    reference = split.sample
    measures = measure(reference.rows, sound)
    digest = ""
    if rank() == 0:
        assert probe is not None
        temperature = _calibrate(model, reference, answers)
        write_version(
            out_dir,
            model=model,
            history=history,
            answers=answers,
            measures=measures,
            split=split,
            sound=sound,
            profile=profile,
            speech=speech_digests(profile, settings),
            revisions=model_revisions(
                (*profile.models, *parts_of(profile.diarize.pipeline, settings)), settings
            ),
            acoustic=acoustic,
            text=text,
            temperature=temperature,
            probe=probe,
        )
        digest = tree_digest(out_dir)
    metric = profile.train.metric_for_best_model
    result = TrainResult(
        model=out_dir,
        digest=broadcast_object_list([digest])[0],
        history=history,
        best_epoch=int(best_entry(history, metric)["epoch"]),
        validation=validation_scores(history, metric),
        training_examples=count_emotions(split.training, profile.labels),
        validation_examples=count_emotions(split.validation, profile.labels),
        temperature=broadcast_object_list([model.config.calibration_temperature])[0],
    )
    shutil.rmtree(work, ignore_errors=True)
    run.finish(result)
    report(len(split.rows) + profile.train.epochs)
    return result


def _calibrate(model: MoodlineModel, split: Split, answers: Answers) -> Temperature:
    """Fit the temperature of a model's answers, and set it."""
    validation = answers.probabilities()[len(split.training) :]
    fitted = fit_temperature(validation, np.array([row.label for row in split.validation]))
    if fitted.note:
        logger.warning("temperature %g: %s", fitted.value, fitted.note)
    model.config.calibration_temperature = fitted.value
    return fitted


def _fit_head(training: _Training) -> tuple[History, Answers, Probe | None]:
    """Frozen encoders: compute their states once, then fit the head alone."""
    head, split = training.model.head, training.split
    encoded = training.encode(split.rows)
    count = len(split.training)
    standardize(training.model, encoded[:count])
    parts = [
        StateWindows([row.label for row in rows], states)
        for rows, states in ((split.training, encoded[:count]), (split.validation, encoded[count:]))
    ]
    vary = None
    if training.profile.train.augment:
        numbers = range(1, 1 + training.profile.train.augment_copies)
        labels = [row.label for row in split.training]
        copies = [
            training.encode(split.training, training.heard(number), encoded[:count])
            for number in numbers
        ]
        variants = [parts[0], *(StateWindows(labels, copy) for copy in copies)]

        def vary(index: int, epoch: int) -> Item:
            return variants[(index + epoch) % len(variants)][index]

    sample, kept = split.sample, encoded
    if len(sample.training) < count:
        kept = training.encode(sample.rows)
    with one_thread():
        history = training.fit(head, parts, vary)
        answers = answer(head, StateWindows([row.label for row in sample.rows], kept))
    states = kept[: len(sample.training)]
    return history, answers, training.probe(sample.training, states, pretrained=False)


def _fit_all(training: _Training) -> tuple[History, Answers, Probe | None]:
    """Fit encoders and head together, from sound and words."""
    model, split = training.model, training.split
    limits = (model.config.max_samples, model.config.max_tokens)

    def windows(rows: Sequence[Row]) -> SoundWindows:
        return SoundWindows(rows, training.sound, training.tokenizer, limits)

    # The head starts on the scale of the encoders' states before they are fitted.
    sample = split.sample
    encoded = training.encode(sample.training)
    standardize(model, encoded)
    probe = training.probe(sample.training, encoded, pretrained=True)
    training.report(len(split.rows))
    parts = [windows(split.training), windows(split.validation)]

    def vary(index: int, epoch: int) -> Item:
        item = parts[0][index]
        row, heard = split.training[item["turn"]], training.heard(epoch)
        return {**item, "acoustic": heard(item["acoustic"], row, model.config.max_samples)}

    readers = training.settings.readers_of(processes_here(), on_gpu=cuda.is_available())
    lora = training.profile.train.lora
    if lora:
        add_adapters(model, lora, training.profile.seed)
    history = training.fit(model, parts, vary if training.profile.train.augment else None, readers)
    if lora:
        merge_adapters(model)
    with read_faults():
        answers = answer(model, windows(sample.rows), readers)
    return history, answers, probe
