"""`python -m components.train`: what `torchrun`, or a Kubeflow TrainJob, runs in each process.

On one machine::

    torchrun --nproc-per-node 4 -m components.train \\
        --examples examples.parquet --corpus manifest/ --profile paper --out model/

Started without `torchrun`, it starts that itself where the profile asks for several processes
(`train.processes`). On several nodes, every node runs the same command with torchrun's
`--nnodes`, `--node-rank` and `--rdzv-endpoint` (a TrainJob sets these). The examples, the corpus
and `--out` are on storage that all share: a folder, or `s3://bucket/path`. So should Moodline's
cache be (`MOODLINE_CACHE`: states; checkpoints are kept only in a folder).

The first process writes the version, and prints what came of it as one line of JSON, or writes that
line, last of all, into the file that `--result` names. Progress and
errors are events where `MOODLINE_EVENTS` names a file for them (`components.base.events`); else
progress goes to standard error. Exit status 2: the input is wrong, in one line.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from components.base import (
    EVENTS,
    Event,
    Failure,
    Location,
    MoodlineError,
    Url,
    at_hand,
    copy_to,
    located,
    log_as_json,
    logs_are_json,
    report,
)
from components.config import Settings, load_train_step
from components.conversation import read_manifest

STEP = "train"

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m components.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--examples", required=True, help="the Parquet file of `label`")
    parser.add_argument("--corpus", required=True, help="the manifest's folder")
    parser.add_argument("--profile", required=True, help="demo, paper, or a YAML file")
    parser.add_argument("--out", required=True, help="the version's folder to write")
    parser.add_argument("--result", help="a file for what came of it")
    given = parser.parse_args(arguments)

    from components.train import train
    from components.train.processes import rank

    first = rank() == 0
    level = logging.INFO if first else logging.ERROR
    if logs_are_json():
        log_as_json(level)
    else:
        logging.basicConfig(level=level, format="%(message)s")

    def progress(done: int, total: int) -> None:
        if EVENTS in os.environ:
            report(Event(STEP, "running", progress=(done, total)))
        else:
            logger.info("%d of %d", done, total)

    try:
        corpus, profile = read_manifest(located(given.corpus)), load_train_step(given.profile)
        watch = progress if first else None
        with at_hand(located(given.examples)) as examples, _written(given.out) as out:
            result = train(examples, corpus, out, profile, Settings(), watch)
        line = json.dumps(asdict(result), default=str)
        if first and given.result:
            _write(located(given.result), line)
    except MoodlineError as error:
        report(Event(STEP, "running", error=Failure.of(error)))
        logger.error("moodline: %s", error)
        return error.exit_status
    if first and not given.result:
        print(line, flush=True)
    return 0


@contextmanager
def _written(name: str) -> Iterator[Path]:
    """A folder of this machine; what is in it after the block goes to the location of that name."""
    target = located(name)
    if isinstance(target, Path):
        yield target
        return
    with tempfile.TemporaryDirectory(prefix="moodline-version-") as folder:
        yield Path(folder) / "model"
        if (Path(folder) / "model").exists():  # the first process wrote it
            copy_to(Path(folder) / "model", target)


def _write(target: Location, text: str) -> None:
    if isinstance(target, Url):
        return target.put_bytes(text.encode())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        file.write_text(text, encoding="utf-8")
        copy_to(file, target)
    return None


if __name__ == "__main__":
    sys.exit(main())
