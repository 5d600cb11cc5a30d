"""A TrainJob trains what one process does: made once, followed, fetched; each fault is one line."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.base import InputError, Stopped, Unavailable, tree_digest
from components.config import Profile, Settings, TrainStep
from components.conversation import Recording, write_manifest
from components.train import TrainResult, train
from components.train.nodes import train_on_nodes
from components.train.trainjobs import TrainJobFailed, TrainJobs
from pipelines.definitions.trainjob import train_job
from tests.cluster.trainer import Trainer, serving, wait_for

ROOT = Path(__file__).resolve().parents[3]
Corpus = tuple[Path, list[Recording]]
Make = Callable[..., Profile]


def on_this_machine(
    command: Sequence[str], environments: Sequence[dict[str, str]], logs: Sequence[Path]
) -> list[int]:
    """The nodes of a job as processes; where one fails the others are ended."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    processes = []
    for environment, log in zip(environments, logs, strict=True):
        with log.open("wb") as file:
            own = {**os.environ, **environment, "PATH": path, "OMP_NUM_THREADS": "1"}
            processes.append(subprocess.Popen(command, env=own, stdout=file, stderr=file, cwd=ROOT))
    while any(p.poll() is None for p in processes) and not any(p.returncode for p in processes):
        threading.Event().wait(0.1)
    for process in processes:
        process.terminate()
    return [process.wait() for process in processes]


def saying(line: str, status: int) -> Callable[..., list[int]]:
    """Nodes that print a line and end."""
    code = f"import sys; print({line!r}); sys.exit({status})"
    return lambda command, *more: on_this_machine([sys.executable, "-c", code], *more)


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trainer]:
    """A cluster with Trainer 2.1, and a kubeconfig that leads to it."""
    (tmp_path / "logs").mkdir()
    trainer = Trainer(saying("a line", 0), tmp_path / "logs")
    with serving(trainer) as port:
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "c", "user": {"token": "t"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        }  # fmt: skip
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield trainer


@pytest.fixture
def run(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> Callable[..., TrainResult]:
    """The step, with what its profile's cluster says."""
    cluster = {"nodes": 2, "namespace": "team", "volume": {"claim": "state"}}
    cluster["env"] = {"MOODLINE_MODELS": str(settings.models)}
    write_manifest(tmp_path / "manifest", corpus[1])

    def run(run_id: str = "run-1", away: float = 60, **changes: Any) -> TrainResult:
        base = make_profile(dropout=0.0, epochs=2, batch_size=6).model_dump(mode="json")
        profile = Profile.model_validate(base | {"cluster": cluster | changes})
        manifest = train_job(profile)
        for variable in manifest["spec"]["trainer"]["env"]:
            if variable["name"] == "MOODLINE_HOME":  # the volume is no folder of this machine
                variable["value"] = str(settings.home)
        return train_on_nodes(
            corpus[0], tmp_path / "manifest", tmp_path / "model", TrainStep.of(profile), manifest,
            settings.model_copy(update={"pipeline_run": run_id}),
            TrainJobs("team", away=away, poll=0.1),
        )  # fmt: skip

    return run


def test_two_nodes_train_what_two_processes_do(
    trainer: Trainer, run: Callable[..., TrainResult], corpus: Corpus, make_profile: Make,
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    trainer.nodes = on_this_machine
    with caplog.at_level(logging.INFO, "components.train"):
        result = run()
    profile = make_profile(dropout=0.0, epochs=2, batch_size=6)
    other = Settings(home=tmp_path / "other", models=settings.models)
    alone = train(*corpus, tmp_path / "same", profile, other)
    assert len(result.history) == len(alone.history) == 2
    for shared, single in zip(result.history, alone.history, strict=True):
        assert shared == pytest.approx(single, abs=1e-3)
    assert result.model == tmp_path / "model"
    assert tree_digest(result.model) == result.digest
    (made,) = trainer.made
    assert made["metadata"]["name"].startswith("moodline-tiny-")
    assert "2 of 2 nodes run" in caplog.text
    # Nothing of it stays behind: the job holds no GPUs, the place no words of anybody.
    assert not trainer.jobs
    assert not list((settings.home / "trainjobs").iterdir())


def test_a_step_that_is_started_again_waits_for_its_own_job(
    trainer: Trainer, run: Callable[..., TrainResult], caplog: pytest.LogCaptureFixture
) -> None:
    """The API goes away in the middle; the job does not."""
    release = threading.Event()

    def nodes(*_: Any) -> list[int]:
        release.wait()
        return [1, 1]

    trainer.nodes = nodes
    threading.Thread(
        target=lambda: (wait_for(lambda: bool(trainer.jobs)), setattr(trainer, "up", False))
    ).start()
    with pytest.raises(Unavailable, match=r"API does not answer .* next try"):
        run(away=0.5)
    trainer.up = True
    threading.Timer(1, release.set).start()
    with caplog.at_level(logging.INFO, "components.train"), pytest.raises(TrainJobFailed):
        run()
    assert "goes on" in caplog.text
    assert len(trainer.made) == 1
    # The failed job stays to be looked at; the next try makes a new one.
    with pytest.raises(TrainJobFailed):
        run()
    with pytest.raises(TrainJobFailed):
        run("run-2")
    names = [job["metadata"]["name"] for job in trainer.made]
    assert names[0] == names[1] != names[2]


def test_a_step_that_is_ended_takes_its_job_with_it(
    trainer: Trainer, run: Callable[..., TrainResult], settings: Settings
) -> None:
    trainer.nodes = lambda *_: [int(threading.Event().wait(60))] * 2

    def end() -> None:
        wait_for(lambda: bool(trainer.jobs))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end).start()
    with pytest.raises(Stopped):
        run()
    assert not trainer.jobs
    assert not list((settings.home / "trainjobs").iterdir())
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_queue_that_does_not_admit_it_is_named(
    trainer: Trainer, run: Callable[..., TrainResult], caplog: pytest.LogCaptureFixture
) -> None:
    trainer.queue.clear()
    trainer.nodes = saying("moodline: r1: has examples but is not in the corpus", 2)
    threading.Timer(0.5, trainer.queue.set).start()
    caplog.set_level(logging.INFO, "components.train")
    # A pod that says what is wrong is heard.
    with pytest.raises(InputError, match=r"^r1: has examples but is not in the corpus$"):
        run(queue="night")
    (told,) = [r.message for r in caplog.records if "is suspended" in r.message]
    assert "waits for its queue to admit it (TrainJob is suspended)" in told
    assert trainer.made[0]["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "night"}


def test_a_job_that_fails_shows_the_last_lines_of_its_pod(
    trainer: Trainer, run: Callable[..., TrainResult], caplog: pytest.LogCaptureFixture
) -> None:
    trainer.nodes = saying("lost a GPU", 3)
    with pytest.raises(TrainJobFailed, match=r"failed: FailedJobs: .*-node-0-\d-\w+: lost a GPU$"):
        run()
    assert "the last lines of pod moodline-tiny-" in caplog.text
    assert len(trainer.jobs) == 1


def test_what_a_killed_step_left_goes_with_the_next_job(
    trainer: Trainer, run: Callable[..., TrainResult], settings: Settings
) -> None:
    places = settings.home / "trainjobs"
    for name, begun in (("old", time.time() - 3 * 86_400), ("new", time.time())):
        (places / name).mkdir(parents=True)
        (places / name / "examples.parquet").write_text("words")
        (places / name / "begun").write_text(str(begun))
    trainer.nodes = saying("lost a GPU", 3)
    with pytest.raises(TrainJobFailed):
        run()
    assert [place.name for place in places.iterdir()] == ["new"]


def torchrun(*options: str, changes: str = "") -> Callable[..., list[int]]:
    """The first node runs the real `torchrun`, whose report follows what the processes print."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"),
        *options,
    ]
    own = dict([changes.split("=")] if changes else [])
    return lambda _, __, logs: [*on_this_machine(command, [own], logs[:1]), 0]


def test_wrong_input_is_told_over_the_report_of_torchrun(
    trainer: Trainer, run: Callable[..., TrainResult]
) -> None:
    missing = ("--examples=nope.parquet", "--corpus=nope", "--profile=demo", "--out=nope")
    command = ("--nproc-per-node=1", "-m", "components.train", *missing)
    trainer.nodes = torchrun(*command, changes="MOODLINE_LOG_FORMAT=json")
    with pytest.raises(InputError, match=r"^nope: no such file$"):
        run()


def test_an_error_is_told_over_the_report_of_torchrun(
    trainer: Trainer, run: Callable[..., TrainResult], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    script = tmp_path / "lost.py"
    warns = "[rank0]:[W1130 03:38:14.445678901 ProcessGroupNCCL.cpp:1538] Warning: not destroyed"
    script.write_text(f"print({warns!r}, flush=True)\nraise ValueError('lost a GPU')\n")
    trainer.nodes = torchrun("--nproc-per-node=1", str(script))
    with pytest.raises(TrainJobFailed, match=r": ValueError: lost a GPU \(exit status 1\)$"):
        run()
    assert "lost.py" in caplog.text
    assert "Root Cause" not in caplog.text


@pytest.mark.parametrize("verb", ["create", "get"])
def test_a_right_that_is_missing_is_named(
    trainer: Trainer, run: Callable[..., TrainResult], verb: str
) -> None:
    trainer.rights.remove(("trainer.kubeflow.org", "trainjobs", verb))
    says = f'cannot {verb} resource "trainjobs" .*infra/kubernetes/training$'
    with pytest.raises(InputError, match=says) as error:
        run()
    assert "\n" not in str(error.value)
    assert not trainer.made


def test_who_may_not_see_the_pods_trains_without_seeing_them(
    trainer: Trainer, run: Callable[..., TrainResult], caplog: pytest.LogCaptureFixture
) -> None:
    trainer.nodes = saying("lost a GPU", 3)
    trainer.rights.remove(("", "pods", "list"))
    caplog.set_level(logging.INFO, "components.train")
    with pytest.raises(TrainJobFailed, match=r"FailedJobs: .*no pod of it is left to ask"):
        run()
    assert 'cannot list resource "pods"' in caplog.text


def test_a_cluster_without_trainer_or_with_another_one(
    trainer: Trainer, run: Callable[..., TrainResult], settings: Settings
) -> None:
    trainer.trainer = ""
    with pytest.raises(InputError, match="knows no TrainJobs: install Kubeflow Trainer 2"):
        run()
    trainer.trainer = "2.0"
    with pytest.raises(InputError, match=r"unknown field .*see whether cluster\.trainer names"):
        run()
    assert not trainer.jobs
    assert not list((settings.home / "trainjobs").iterdir())


def test_wrong_examples_make_no_job(
    trainer: Trainer, run: Callable[..., TrainResult], corpus: Corpus, tmp_path: Path,
    make_profile: Make, settings: Settings,
) -> None:  # fmt: skip
    profile = make_profile()
    wrong = TrainStep.of(profile).model_copy(
        update={"protocol": profile.protocol.model_copy(update={"validation_fold": "fold9"})}
    )
    with pytest.raises(InputError, match="validation part"):
        train_on_nodes(
            corpus[0], tmp_path / "manifest", tmp_path / "model", wrong,
            {"metadata": {"generateName": "m-"}}, settings, TrainJobs("team"),
        )  # fmt: skip
    assert not trainer.made


def test_a_job_that_took_too_long_says_so(
    trainer: Trainer, run: Callable[..., TrainResult]
) -> None:
    """Trainer then deletes the pods."""
    trainer.trainer = "2.2"
    trainer.nodes = lambda *_: [int(threading.Event().wait(60))] * 2

    def exceed() -> None:
        wait_for(lambda: bool(trainer.jobs))
        (job,) = trainer.jobs.values()
        job.logs = []
        job.condition("Failed", "True", "DeadlineExceeded", "TrainJob exceeded its active deadline")

    threading.Thread(target=exceed).start()
    says = r"failed: DeadlineExceeded: TrainJob exceeded its active deadline; no pod"
    with pytest.raises(TrainJobFailed, match=says):
        run(trainer="2.2", steps={"train": {"timeout": "90s"}})
    assert trainer.made[0]["spec"]["activeDeadlineSeconds"] == 90
