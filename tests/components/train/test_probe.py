"""The linear probe: fitted to the training folds' frozen states, and kept with the version."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from components.base import InputError
from components.config import Profile, Settings
from components.conversation import DEFAULT_LABELS, Recording
from components.fusion.model import load_model
from components.fusion.probe import PROBE, load_probe
from components.train import TrainResult, train
from components.train.probe import C, fit_probe
from components.train.shards import EncodedWindow


@pytest.mark.parametrize("labels", [2, 3])
def test_it_answers_as_scikit_learn_does(labels: int, tmp_path: Path) -> None:
    dice = np.random.default_rng(labels)
    right = np.arange(60) % labels
    features = (dice.standard_normal((60, 8)) + right[:, None] * np.arange(8)).astype("f4")
    nothing = np.zeros((1, 1), "f4")
    halves = [[EncodedWindow(nothing, nothing, 0.5, row)] * 2 for row in features]
    names = ("a", "b", "c")[:labels]
    fit_probe(halves, right.tolist(), names, pretrained=True).save(tmp_path / PROBE)
    probe = load_probe(tmp_path / PROBE)
    assert (probe.labels, probe.pretrained) == (names, True)
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    expected = reference.fit(features, right).predict_proba(features)
    assert np.abs(probe(features) - expected).max() < 1e-3


def test_a_version_holds_the_probe_of_its_own_encoders(trained: TrainResult) -> None:
    probe, model = load_probe(trained.model / PROBE), load_model(trained.model)
    assert probe.labels == DEFAULT_LABELS and not probe.pretrained
    audio = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    inputs = (audio, torch.tensor([8000]), torch.tensor([[2, 3]]), torch.tensor([2]))
    with torch.inference_mode():
        states, features = model.encode_and_probe(*inputs)
        for mine, theirs in zip(states, model.encode(*inputs), strict=True):
            assert torch.equal(mine, theirs), "one pass gives the head what it gets alone"
        hidden, frames = model.acoustic(*inputs[:2], all_layers=True)
    real = hidden[0, : int(frames)].numpy()
    width = real.shape[1]
    assert probe.weight.shape == (4, features.shape[1])
    assert np.allclose(features[0, :width], real.mean(0), atol=1e-4)
    assert np.allclose(features[0, width : 2 * width], real.std(0), atol=1e-3)
    assert probe(features.numpy()).sum() == pytest.approx(1)


def test_a_fine_tuned_versions_probe_is_of_the_pretrained_encoders(
    corpus: tuple[Path, list[Recording]],
    make_profile: Callable[..., Profile],
    settings: Settings,
    trained: TrainResult,
    tmp_path: Path,
) -> None:
    profile = make_profile(epochs=1, freeze_encoders=False)
    tuned = train(*corpus, tmp_path / "model", profile, settings)
    probe = load_probe(tuned.model / PROBE)
    assert probe.pretrained
    # The same folds, and the same encoders before they were fitted: the same line.
    for name, array in load_file(trained.model / PROBE).items():
        assert np.allclose(array, getattr(probe, name), atol=1e-5), name


def test_another_file_is_no_probe(trained: TrainResult) -> None:
    for name in ("model.safetensors", "config.json", "nothing"):
        with pytest.raises(InputError, match="is not the probe of a version"):
            load_probe(trained.model / name)
