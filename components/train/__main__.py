"""`python -m components.train`: what `torchrun`, or a Kubeflow TrainJob, runs in each process.

On one machine::

    torchrun --nproc-per-node 4 -m components.train \\
        --examples examples.parquet --corpus manifest/ --profile paper --out model/

Started without `torchrun`, it starts that itself where the profile asks for several processes
(`train.processes`). On several nodes, every node runs the same command with torchrun's
`--nnodes`, `--node-rank` and `--rdzv-endpoint` (a TrainJob sets these); the examples, the corpus
and Moodline's cache (`MOODLINE_CACHE`: states and checkpoints) must be on storage that all share.

The first process writes the version, and prints what came of it as one line of JSON. Progress and
errors are events where `MOODLINE_EVENTS` names a file for them (`components.base.events`); else
progress goes to standard error. Exit status 2: the input is wrong, in one line.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from components.base import (
    EVENTS,
    Event,
    Failure,
    MoodlineError,
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
    parser.add_argument("--examples", type=Path, required=True, help="the Parquet file of `label`")
    parser.add_argument("--corpus", type=Path, required=True, help="the manifest's folder")
    parser.add_argument("--profile", required=True, help="demo, paper, or a YAML file")
    parser.add_argument("--out", type=Path, required=True, help="the version's folder to write")
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
        corpus, profile = read_manifest(given.corpus), load_train_step(given.profile)
        watch = progress if first else None
        result = train(given.examples, corpus, given.out, profile, Settings(), watch)
    except MoodlineError as error:
        report(Event(STEP, "running", error=Failure.of(error)))
        logger.error("moodline: %s", error)
        return error.exit_status
    if first:
        print(json.dumps(asdict(result), default=str), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
