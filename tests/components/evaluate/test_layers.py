"""The report shows how a version mixes the layers of its speech encoder."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from components.evaluate.report import _layers_chart
from components.fusion.mixing import NAME, layer_shares


def test_the_shares_of_layers_are_a_softmax_and_stand_in_the_chart(tmp_path: Path) -> None:
    powers = np.log(np.array([1.0, 2.0, 5.0], dtype=np.float32))
    save_file({NAME: powers}, tmp_path / "model.safetensors")
    shares = layer_shares(tmp_path)
    assert shares == pytest.approx([0.125, 0.25, 0.625])
    chart = _layers_chart(shares)
    assert "layer 2, share: 62.50%" in chart.replace(" %", "%")
    assert "input" in chart


def test_one_layer_alone_has_no_chart(tmp_path: Path) -> None:
    assert layer_shares(tmp_path) == []
    save_file({"head.other": np.zeros(2, dtype=np.float32)}, tmp_path / "model.safetensors")
    assert layer_shares(tmp_path) == []
    assert _layers_chart([]) == ""
