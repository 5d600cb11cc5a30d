"""Steps are known by the weights of their models, not by the models' names alone."""

from pathlib import Path

import pytest

from components.config import TrainStep, load_profile
from components.config.component import model_digests


def test_changed_weights_are_other_work_for_the_steps_that_load_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODLINE_MODELS", str(tmp_path))
    profile = load_profile("demo")
    step = TrainStep.of(profile).model_dump_json()
    names = profile.transcribe.model, profile.diarize.pipeline, profile.fusion.text
    for name in names:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "weights").write_text("before")
    before = model_digests.python_func(step)
    assert model_digests.python_func(step) == before
    for changed, name in enumerate(names):
        (tmp_path / name / "weights").write_text(f"after {changed}")
        after = model_digests.python_func(step)
        # A version says which speech models it was made with, so training is another work, too;
        # the diarization's network says where somebody speaks, so transcription is.
        other = {0: [True, False, True], 1: [True, True, True], 2: [False, False, True]}
        assert [a != b for a, b in zip(after, before, strict=True)] == other[changed]
        before = after
