"""Training on several nodes, from inside a pipeline's step: a Kubeflow TrainJob does the work.

The step and the job's pods meet at a place that all of them see: below MOODLINE_CACHE where that is
an object store, else on the shared volume. The step puts corpus and examples there, and takes the
version from there. The job is named by the run and by what it is made of. So a step that is started
again finds its own job, and waits for it instead of making another one.
"""

import json
import logging
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from components.base import (
    InputError,
    Location,
    MoodlineError,
    Stopped,
    atomic_path,
    copy_from,
    copy_to,
    delete_all,
    file_digest,
    folders_in,
    json_digest,
    located,
    tree_digest,
    write_file,
)
from components.config import Settings, TrainStep
from components.train.data import read_rows, split_rows
from components.train.trainjobs import TrainJobFailed, TrainJobs, conditions_of
from components.train.version import TrainResult

logger = logging.getLogger(__name__)

TRAINJOB = "MOODLINE_TRAINJOB"
"""The environment variable with the job's manifest, but for what only the step knows.

It is no parameter of the step: where a training happens is no part of what it computes, and KFP's
cache knows a step by its parameters.
"""

_BEGUN = "begun"
"""The file of a meeting place with the time when it was made, in seconds since 1970."""

_OLD = 2 * 86_400.0
"""Seconds. A step has made its job long before; where a job is not found, it may be of another
namespace."""

_HANDED_ON = (
    "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_WORKSPACE",
    "MLFLOW_TRACKING_AUTH",
)  # fmt: skip
"""What KFP's plugin for MLflow tells a step, and the step its job's pods; none of it is secret."""


def train_on_nodes(
    examples: Path,
    corpus: Path,
    out_dir: Path,
    profile: TrainStep,
    manifest: Mapping[str, Any],
    settings: Settings,
    jobs: TrainJobs | None = None,
) -> TrainResult:
    """Train as `components.train.train` does, in the pods of a TrainJob.

    Args:
        examples: the Parquet file of `components.label`.
        corpus: the manifest's folder; its sound must be where the pods see it.
        out_dir: the version's folder, written whole or not at all.
        manifest: the TrainJob, with a `generateName` and without arguments.
        jobs: how to reach the cluster's TrainJobs; default: as the pod's account does.

    Raises:
        InputError: wrong examples, or an API that refuses the job.
        TrainJobFailed: the job failed.
        Unavailable: the API or the store was away for too long.
        Stopped: this process was told to end; the job is deleted.
    """
    split_rows(read_rows(examples, profile.labels), profile.protocol, profile.labels)
    digests = [file_digest(examples), tree_digest(corpus), profile.model_dump(mode="json")]
    name = manifest["metadata"]["generateName"] + json_digest([settings.pipeline_run, *digests])[:8]
    place = meeting_place(settings, name)
    jobs = jobs or TrainJobs(manifest["metadata"].get("namespace", ""))
    with _ended_by_sigterm():
        try:
            _run(jobs, name, place, manifest, (examples, corpus, profile), settings)
            result = _fetch(place, out_dir)
            jobs.delete(name, wait=False)
        except (Stopped, KeyboardInterrupt):
            with suppress(MoodlineError):
                jobs.delete(name, wait=False)
                delete_all(place)
            raise
        except (InputError, TrainJobFailed):
            # There is no job, or it has failed and stays to be looked at: without anybody's words.
            with suppress(MoodlineError):
                delete_all(place)
            raise
    delete_all(place)
    return result


def meeting_place(settings: Settings, name: str) -> Location:
    """Where the step and the pods of a job meet."""
    shared = located(settings.cache_store) if settings.cache_store else settings.home
    return shared / "trainjobs" / name


def delete_left(jobs: TrainJobs, places: Location) -> None:
    """Delete what steps that were killed have left where they met their jobs: words and labels.

    What is younger than two days stays, and what belongs to a job that goes on.

    Args:
        places: the folder of all meeting places.
    """
    now = time.time()
    for place in folders_in(places) if places.exists() else ():
        mark = place / _BEGUN
        if not mark.exists():  # an older version's: it goes two days from now
            write_file(mark, f"{now:.0f}".encode())
        elif float(mark.read_bytes()) < now - _OLD:
            job = jobs.find(place.name)
            if job is None or {"Complete", "Failed"} & conditions_of(job).keys():
                delete_all(place)


def _run(
    jobs: TrainJobs,
    name: str,
    place: Location,
    manifest: Mapping[str, Any],
    inputs: tuple[Path, Path, TrainStep],
    settings: Settings,
) -> None:
    """See to it that there is a complete job whose version lies at the place."""
    job = jobs.find(name)
    conditions = conditions_of(job) if job else {}
    complete = "Complete" in conditions and (place / "result.json").exists()
    ended = "Failed" in conditions or ("Complete" in conditions and not complete)
    if job and (ended or job["metadata"].get("deletionTimestamp")):
        jobs.delete(name)
        job = None
    if job is None:
        examples, corpus, profile = inputs
        delete_all(place)
        with suppress(MoodlineError, OSError):  # of others, and the next run tries again
            delete_left(jobs, place.parent)
        write_file(place / _BEGUN, f"{time.time():.0f}".encode())
        copy_to(examples, place / "examples.parquet")
        copy_to(corpus, place / "corpus")
        jobs.create(_whole(manifest, name, place, profile, settings))
    logger.info("TrainJob %s: %s", name, "goes on" if job else "was made")
    jobs.await_end(name)


def _whole(
    manifest: Mapping[str, Any],
    name: str,
    place: Location,
    profile: TrainStep,
    settings: Settings,
) -> dict[str, Any]:
    """The manifest with what only the step knows: names, places, the run."""

    metadata = {k: v for k, v in manifest["metadata"].items() if k != "generateName"}
    trainer = manifest["spec"]["trainer"]
    files = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    files |= {"MOODLINE_PIPELINE_RUN": settings.pipeline_run} if settings.pipeline_run else {}
    known = {variable["name"] for variable in trainer["env"]}
    more = [{"name": n, "value": v} for n, v in files.items() if n not in known]
    arguments = {
        "--corpus": place / "corpus",
        "--examples": place / "examples.parquet",
        "--profile": profile.model_dump_json(),
        "--out": place / "model",
        "--result": place / "result.json",
    }
    words = [str(word) for pair in arguments.items() for word in pair]
    trainer = trainer | {"args": words, "env": [*trainer["env"], *more]}
    spec = manifest["spec"] | {"trainer": trainer}
    return {**manifest, "metadata": {"name": name, **metadata}, "spec": spec}


def _fetch(place: Location, out_dir: Path) -> TrainResult:
    """Take the version that the job wrote.

    Raises:
        MoodlineError: it is not the one that the job spoke of.
    """
    with atomic_path(out_dir) as folder:
        answer = folder.with_name(f"{folder.name}.json")
        copy_from(place / "result.json", answer)
        fields = json.loads(answer.read_text(encoding="utf-8"))
        answer.unlink()
        copy_from(place / "model", folder)
        if (digest := tree_digest(folder)) != fields["digest"]:
            raise MoodlineError(
                f"{place}/model: has the digest {digest}, and the job wrote one of"
                f" {fields['digest']}; start again"
            )
    return TrainResult(**{**fields, "model": out_dir})


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """While the block runs, SIGTERM raises `Stopped`: Kubernetes ends pods by it."""

    def stop(*_: object) -> None:
        raise Stopped("the step was ended; its TrainJob is deleted")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
