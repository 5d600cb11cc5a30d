"""onnxruntime computes the voices as torch does, whatever their lengths and the cores there are."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from components.config import DiarizeSettings, Settings, load_profile
from components.diarize import Diarizer
from components.diarize.demo.campplus import GRAPH, MELS, CamPlusPlus
from components.diarize.demo.graph import TOLERANCE, write_graph
from components.segmentation import WEIGHTS
from pipelines.demo.diarization import make_graph

pytestmark = pytest.mark.models

PIPELINE = "diarization-campplus"


@pytest.fixture(scope="module")
def network(models_home: Path) -> CamPlusPlus:
    model = CamPlusPlus()
    model.load_state_dict(load_file(models_home / PIPELINE / "embedding" / WEIGHTS))
    model.eval().quicken(models_home / f"{PIPELINE}-graph" / GRAPH)
    return model


def test_both_give_one_answer(network: CamPlusPlus) -> None:
    """A context has 200 frames: lengths on both sides of its edges."""
    graph = network.graph
    assert graph is not None
    with torch.inference_mode():
        for frames in (20, 199, 200, 201, 202, 400, 401, 998):
            mels = torch.randn(1, frames, MELS)
            expected = network.embed(mels).numpy()
            np.testing.assert_allclose(graph(mels.numpy()), expected, atol=TOLERANCE, rtol=0)


def test_a_batch_of_voices_is_each_by_itself(
    network: CamPlusPlus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two voices of one chunk, one of another, and nobody; on one core and on two."""
    rng = np.random.default_rng(0)
    sound = torch.from_numpy(rng.normal(0, 0.1, (2, 1, 48_000)).astype(np.float32))
    chunks = sound[[0, 0, 1, 1]]
    masks = torch.zeros(4, 300)
    masks[0, :180], masks[1, 120:], masks[2] = 1, 1, 1
    with torch.inference_mode():
        alone = [network(chunks[n : n + 1], masks[n : n + 1])[0].numpy() for n in range(4)]
        for count in ("1", "2"):
            monkeypatch.setenv("OMP_NUM_THREADS", count)
            together = network(chunks, masks).numpy()
            np.testing.assert_array_equal(together, np.stack(alone))
    assert np.isnan(together[3]).all()
    assert np.isfinite(together[:3]).all()


def test_a_graph_that_differs_is_refused(tmp_path: Path) -> None:
    class Odd(torch.nn.Module):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            # what a trace cannot see: a choice by values
            return frames.mean(1) if frames.shape[1] == 230 else frames.sum(1)

    odd = Odd()
    with pytest.raises(RuntimeError, match="differs from torch"):
        write_graph(odd, odd, 4, tmp_path / GRAPH)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda graph: None, "onnxruntime differs from torch"),
        (Path.unlink, "File doesn't exist"),
        (lambda graph: graph.write_bytes(graph.read_bytes()[:100_000]), "failed"),
    ],
    ids=["differs", "missing", "cut short"],
)
def test_where_the_graph_is_refused_torch_computes(
    models_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path], object],
    says: str,
) -> None:
    """As on a processor on which the two differ, or with a pipeline that was prepared before:
    slower, and it is said, but no end."""
    for name in (PIPELINE, f"{PIPELINE}-graph"):
        shutil.copytree(models_home / name, tmp_path / name)
    spoil(tmp_path / f"{PIPELINE}-graph" / GRAPH)
    if "differs" in says:
        monkeypatch.setattr("components.diarize.demo.graph.TOLERANCE", -1.0)
    diarizer = Diarizer(load_profile("demo").diarize, Settings(models=tmp_path))
    assert diarizer._pipeline._embedding.model_.graph is None
    assert says in caplog.text
    assert "torch computes the voices" in caplog.text


def test_a_graph_that_cannot_be_made_leaves_none(
    models_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("components.diarize.demo.graph.TOLERANCE", -1.0)
    make_graph(models_home / PIPELINE, tmp_path / "graph")
    assert list((tmp_path / "graph").iterdir()) == []
    assert "torch will compute the voices" in caplog.text
    monkeypatch.undo()
    make_graph(models_home / PIPELINE, tmp_path / "again")
    made, prepared = (f / GRAPH for f in (tmp_path / "again", models_home / f"{PIPELINE}-graph"))
    assert made.read_bytes() == prepared.read_bytes()


def test_no_more_than_two_minutes_of_sound_are_embedded_at_once(models_home: Path) -> None:
    """The chunks of the one pipeline last 10 s, of the other 5 s."""
    for name, most in ((PIPELINE, 12), ("diarization-demo", 24)):
        pipeline = Diarizer(DiarizeSettings(pipeline=name), Settings(models=models_home))._pipeline
        assert pipeline.embedding_batch_size == most
