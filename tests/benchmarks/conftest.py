"""A model as large as a trained one, and the whole service with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.config import Settings, load_profile, resolve_model
from components.fusion import load_tokenizer
from components.fusion.export import export_onnx
from components.fusion.model import MoodlineModel
from components.train.version import write_golden
from serving.lineup import Served
from serving.supervisor.serve import Serving


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's encoders under a fresh head: as large and as quick as a trained one."""
    from transformers import AutoTokenizer

    settings, profile = Settings(), load_profile("tiny")
    acoustic, text = (
        resolve_model(name, settings) for name in (profile.fusion.acoustic, profile.fusion.text)
    )
    folder = tmp_path_factory.mktemp("bench") / "model"
    fresh = MoodlineModel.from_encoders(
        acoustic, text, acoustic_layers=profile.fusion.acoustic_layers
    ).eval()
    fresh.save_pretrained(folder)
    AutoTokenizer.from_pretrained(text).save_pretrained(folder)
    export_onnx(fresh, folder / "model.onnx")
    write_golden(fresh, load_tokenizer(folder), folder / "golden.safetensors")
    return folder


@contextmanager
def serving(model: Path, home: Path, profile: str) -> Iterator[Serving]:
    """The whole service, that hears as a profile says."""
    here = Settings()
    settings = Settings(home=home, models=here.models, triton_env=here.triton_env)
    running = Serving(settings, load_profile(profile), port=0, model=Served(1, model))
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def service(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(model, tmp_path_factory.mktemp("service"), "tiny") as running:
        yield running
