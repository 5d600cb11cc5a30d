"""Examples to a model version: check the input, then train here or in several processes."""

from collections.abc import Sequence
from pathlib import Path

from components.config import Settings, TrainStep
from components.conversation import Progress, Recording
from components.train.data import Sound, read_rows, split_rows
from components.train.launch import launch
from components.train.version import TrainResult


def train(
    examples: Path,
    recordings: Sequence[Recording],
    out_dir: Path,
    profile: TrainStep,
    settings: Settings,
    progress: Progress | None = None,
) -> TrainResult:
    """Train the fusion model and write it as a version.

    The protocol's test fold is never read. Its validation fold chooses the epoch. With frozen
    encoders their states are computed once and kept in the cache. Otherwise encoders and head are
    fitted together, each at its own learning rate. A killed run goes on where it stopped.

    If the profile asks for several processes, or there are several GPUs, `torchrun` is started:
    every process calls this function, and the first one writes the version.

    Args:
        examples: the Parquet file of `components.label`.
        recordings: the corpus that the examples were cut from.
        out_dir: the version's folder, written whole or not at all.
        profile: the models and numbers; a version depends only on the parts of `TrainStep`.
        progress: called with the steps done (examples read, epochs) and their total.

    Raises:
        InputError: examples without a column, of a recording that is not in the corpus, with an
            empty fold or without one of the emotions, sound that is not numbers, an encoder that
            is not there, or settings that this machine does not support.
    """
    from components.train import processes

    examples, out_dir = Path(examples), Path(out_dir)
    profile = TrainStep.of(profile)
    split = split_rows(read_rows(examples, profile.labels), profile.protocol, profile.labels)
    total = len(split.rows) + profile.train.epochs
    sound = Sound(recordings, split.rows, settings.finished)
    count = processes.process_count(profile.train)
    processes.share_of_batch(profile.train, count)
    processes.precision(profile.train)
    if count > 1 and not processes.under_torchrun():
        # The input was checked above, so that a fault in it is reported here, and once.
        watch = progress or (lambda done, total: None)
        return launch(examples, recordings, out_dir, profile, settings, count, watch)

    from components.train.worker import train_in_process

    def report(done: int) -> None:
        if progress:
            progress(done, total)

    with processes.process_group():
        return train_in_process(examples, split, sound, out_dir, profile, settings, report)
