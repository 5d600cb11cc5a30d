"""Two processes under the real `torchrun` train what one does; the first writes the version."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from components.base import InputError, tree_digest
from components.config import Profile, Settings
from components.conversation import Recording, write_manifest
from components.train import train
from components.train.checkpoints import last_whole_checkpoint
from components.train.launch import run_processes
from components.train.trainer import EpochBatches
from components.train.windows import Item

Corpus = tuple[Path, list[Recording]]
Make = Callable[..., Profile]
HOW: dict[str, Any] = {
    "freeze_encoders": False,
    "epochs": 3,
    "class_weights": True,
    "batch_size": 6,
}


def windows(arrays: Sequence[np.ndarray]) -> list[Item]:
    """One of each turn."""
    same = {"label": 0, "weight": 1.0}
    return [{"acoustic": array, "turn": i, **same} for i, array in enumerate(arrays)]


class Killed(Exception):
    """What stops a training from outside."""


@pytest.fixture(scope="module")
def uneven(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The corpus with fewer sad examples: weights differ, and batches do not come out even."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        row
        for row in pq.read_table(corpus[0]).to_pylist()
        if row["emotion"] != "sad" or row["recording"] != "r0"
    ]
    path = tmp_path_factory.mktemp("uneven") / "examples.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path, corpus[1]


def test_two_processes_killed_and_started_again_compute_what_one_does(
    uneven: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    """The same batches, class weights and validation: the same numbers but for rounding."""
    import mlflow

    alone = train(*uneven, tmp_path / "one", make_profile(dropout=0.0, **HOW), settings)
    profile = make_profile(dropout=0.0, processes=2, **HOW)

    def kill_after_two_epochs(done: int, total: int) -> None:
        if done == total - 1:
            raise Killed

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = mlflow.create_experiment("e", (tmp_path / "artifacts").as_uri())
    with mlflow.start_run(experiment_id=experiment) as run:
        with pytest.raises(Killed):
            train(*uneven, tmp_path / "two", profile, settings, kill_after_two_epochs)
        assert not (tmp_path / "two").exists()
        (work,) = settings.cache.glob("training/*/*")
        checkpoint = last_whole_checkpoint(work)
        assert checkpoint is not None
        # A mark in what it goes on from shows that it does.
        state = json.loads((checkpoint / "trainer_state.json").read_text())
        state["log_history"][0]["loss"] = 123.0
        (checkpoint / "trainer_state.json").write_text(json.dumps(state))
        together = train(*uneven, tmp_path / "two", profile, settings)
    points = mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation_loss")
    mlflow.set_tracking_uri(before)

    first = together.history[0]
    assert first["training_loss"] == 123.0
    first["training_loss"] = alone.history[0]["training_loss"]
    assert len(together.history) == len(alone.history) == HOW["epochs"]
    for shared, single in zip(together.history, alone.history, strict=True):
        assert shared == pytest.approx(single, abs=2e-4)
    one = load_file(alone.model / "model.safetensors")
    two = load_file(together.model / "model.safetensors")
    assert max(np.abs(two[name] - one[name]).max() for name in one) < 1e-4
    assert together.digest == tree_digest(together.model)
    # The first process alone logs, into the run that is open here.
    curve = [(int(entry["epoch"]), entry["validation_loss"]) for entry in together.history]
    assert [(point.step, point.value) for point in points] == curve
    assert not list(settings.cache.glob("training/*/*"))


def test_what_is_wrong_in_a_process_is_one_line_here(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []

    def run(code: str) -> None:
        run_processes(
            [sys.executable, "-c", f"import sys\nfrom components.base import *\n{code}"],
            dict(os.environ),
            tmp_path,
            lambda done, total: steps.append((done, total)),
        )

    with pytest.raises(InputError, match=r"^r1\.wav: is empty$"):
        run(
            "report(Event('train', 'running', progress=(2, 9)))\n"
            "report(Event('train', 'running', error=Failure('InputError', 'r1.wav: is empty')))\n"
            "sys.exit(2)"
        )
    assert steps == [(2, 9)]
    (tmp_path / "events.jsonl").unlink()
    with pytest.raises(RuntimeError, match="status 3:\nlost a GPU"):
        run("sys.stderr.write('lost a GPU'); sys.exit(3)")


def test_each_batch_is_shared_out_whole_and_orders_differ_by_epoch() -> None:
    """Three processes see what one sees, batch by batch; no window twice, none left out."""
    lengths = np.random.default_rng(0).integers(10, 100, 34)
    items = windows([np.zeros(n) for n in lengths])
    orders = []
    for epoch in range(2):
        shares = []
        for rank, processes in ((0, 1), (0, 3), (1, 3), (2, 3)):
            batches = EpochBatches(items, 6, 7, rank, processes)
            batches.epoch = epoch
            assert len(list(batches)) == len(batches)
            shares.append(list(batches))
        whole = shares[0]
        orders.append(whole)
        assert sorted(i for batch in whole for i in batch) == list(range(34))
        for batch, *parts in zip(*shares, strict=True):
            assert all(parts)
            assert sorted(batch) == sorted(i for part in parts for i in part)
        # Batches of like length: far less padding than batches at random would have.
        spread = [np.ptp(lengths[batch]) for batch in whole]
        assert np.mean(spread) < 30
    assert orders[0] != orders[1]


@pytest.mark.parametrize("count", [1, 5, 6, 7, 8, 13])
def test_every_process_has_a_share_of_every_batch(count: int) -> None:
    items = windows([np.zeros((1, 4))] * count)
    for rank in range(min(count, 2)):
        shares = list(EpochBatches(items, 6, 0, rank, 2))
        assert all(shares)


def test_a_batch_that_cannot_be_shared_out_is_refused(
    uneven: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    profile = make_profile(processes=3, batch_size=4)
    with pytest.raises(InputError, match=r"train\.batch_size: 4 cannot be shared out among 3"):
        train(*uneven, tmp_path / "model", profile, settings)


def test_the_entry_says_in_one_line_what_is_wrong(uneven: Corpus, tmp_path: Path) -> None:
    write_manifest(tmp_path / "corpus", uneven[1])
    command = [sys.executable, "-m", "components.train", "--examples", "nowhere.parquet"]
    command += ["--corpus", str(tmp_path / "corpus"), "--profile", "tiny", "--out", "model"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["moodline: nowhere.parquet: no such file"]
    assert done.stdout == ""
