"""A training that is killed, or stops early, and what it goes on from."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.config import Profile, Settings
from components.conversation import Recording
from components.train import TrainResult, train
from components.train.checkpoints import last_whole_checkpoint

Corpus = tuple[Path, list[Recording]]
Make = Callable[..., Profile]


class Killed(Exception):
    """What stops a training from outside."""


PAPER: dict[str, Any] = {}
"""The paper's form of the model, and the epoch chosen by macro F1."""

WHOLE = {
    "fusion": {
        "use_weighted_layer_sum": True,
        "pooling": "statistics",
        "linear_shortcut": True,
        "hidden_size": 16,
    },
    "augment": 0.8,
    "metric_for_best_model": "loss",
}
"""All that a profile may ask for beyond it."""


@pytest.mark.parametrize("form", [PAPER, WHOLE], ids=["paper", "whole"])
@pytest.mark.parametrize("freeze_encoders", [True, False])
def test_a_killed_training_goes_on_to_the_same_result(
    corpus: Corpus,
    make_profile: Make,
    settings: Settings,
    tmp_path: Path,
    freeze_encoders: bool,
    form: dict[str, Any],
) -> None:
    profile = make_profile(freeze_encoders=freeze_encoders, epochs=4, **form)
    through = train(*corpus, tmp_path / "through", profile, settings)
    steps: list[int] = []

    def kill_after_two_epochs(done: int, total: int) -> None:
        steps.append(done)
        if done == total - 1:
            raise Killed

    with pytest.raises(Killed):
        train(*corpus, tmp_path / "model", profile, settings, kill_after_two_epochs)
    assert not (tmp_path / "model").exists()
    (work,) = settings.cache.glob("training/*/*")
    checkpoint = last_whole_checkpoint(work)
    assert checkpoint
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    assert state["epoch"] == 2
    # A checkpoint cut short by the kill is not taken.
    shutil.copytree(checkpoint, work / "checkpoint-999")
    (work / "checkpoint-999" / "trainer_state.json").unlink()
    steps.clear()
    resumed = train(*corpus, tmp_path / "model", profile, settings, lambda n, _: steps.append(n))
    assert [step for step in steps if step > 32] == [32 + 2, 32 + 3, 32 + 4, 32 + 4]
    assert resumed.history == through.history
    assert resumed.best_epoch == through.best_epoch
    assert resumed.digest == through.digest
    assert not list(settings.cache.glob("training/*/*"))


def test_a_training_killed_while_writing_the_version_is_not_fitted_again(
    trained: TrainResult,
    corpus: Corpus,
    make_profile: Make,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("components.train.version.write_golden", full)
        with pytest.raises(OSError, match="no space"):
            train(*corpus, tmp_path / "model", make_profile(), settings)
    assert not (tmp_path / "model").exists()
    steps: list[int] = []
    again = train(
        *corpus, tmp_path / "model", make_profile(), settings, lambda n, _: steps.append(n)
    )
    assert [step for step in steps if step > 32] == [32 + len(trained.history), 32 + 6]
    assert again.digest == trained.digest


def test_it_stops_when_no_epoch_is_better_for_long_also_when_resumed(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    # Too slow to learn: the first epoch stays the best.
    profile = make_profile(epochs=6, patience=3, learning_rate=1e-9)

    def kill_in_the_third_epoch(done: int, total: int) -> None:
        if done == total - 3:
            raise Killed

    with pytest.raises(Killed):
        train(*corpus, tmp_path / "model", profile, settings, kill_in_the_third_epoch)
    result = train(*corpus, tmp_path / "model", profile, settings)
    assert [entry["epoch"] for entry in result.history] == [1, 2, 3, 4]
    assert result.best_epoch == 1


def test_checkpoints_cost_little_by_default(
    corpus: Corpus, make_profile: Make, tiny_models: Path, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, models=tiny_models)

    def kill_in_the_last_epoch(done: int, total: int) -> None:
        if done == total:
            raise Killed

    with pytest.raises(Killed):
        train(*corpus, tmp_path / "model", make_profile(), settings, kill_in_the_last_epoch)
    # Six epochs took no half minute: losing them is cheaper than writing them down.
    assert not list(settings.cache.glob("training/*/*/*"))
