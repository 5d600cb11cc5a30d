"""The whole retraining pipeline in containers; `make test-containers` builds the images first."""

import json
import os
from pathlib import Path
from typing import Any

import docker
import pytest

from components.base import Event
from components.config import Settings, load_profile
from components.config.cluster import CPU_IMAGE, SLIM_IMAGE
from components.conversation import (
    SPEAKERS,
    TRANSCRIPTS,
    TURNS,
    parse_turns,
    parse_words,
    read_documents,
)
from pipelines.definitions.code_version import image
from pipelines.runners.request import RetrainRequest
from pipelines.runners.retrain import retrain

pytestmark = pytest.mark.timeout(3600)


def test_every_step_left_what_it_should(result: dict[str, Any]) -> None:
    outputs = {name: Path(path) for name, path in result["outputs"].items()}
    assert all(path.exists() for path in outputs.values())
    turns = [parse_turns(text, name) for name, text in read_documents(outputs["turns"], TURNS)]
    assert len(turns) == 20 and all(turns)
    assert {"model.safetensors", "model.onnx"} <= {p.name for p in outputs["model"].iterdir()}
    assert outputs["report"].read_text().lstrip().lower().startswith("<!doctype html")
    (words,) = Path(result["folder"]).rglob("transcribe/transcripts")
    texts = read_documents(words, TRANSCRIPTS)
    assert sum(len(s.words) for n, t in texts for s in parse_words(json.loads(t), n)) > 1000
    (speakers,) = Path(result["folder"]).rglob("diarize/speakers")
    assert len(list(read_documents(speakers, SPEAKERS))) == 20


def test_the_registry_has_what_the_gate_let_through(result: dict[str, Any]) -> None:
    if result["decision"] == "fail":
        assert result["version"] is None
    else:
        assert result["version"] == 1
        assert result["promoted"] == (result["decision"] == "pass")


def test_what_the_steps_left_belongs_to_who_started_them(result: dict[str, Any]) -> None:
    assert {p.stat().st_uid for p in Path(result["folder"]).rglob("*")} == {os.getuid()}


def test_an_interrupt_leaves_no_container(
    tmp_path: Path, demo_corpus: Path, models_home: Path
) -> None:
    def interrupt(event: Event) -> None:
        if event.state == "running" and event.step == "corpus":
            raise KeyboardInterrupt

    settings = Settings(home=tmp_path / "home", models=models_home)
    with pytest.raises(KeyboardInterrupt):
        request = RetrainRequest(corpus=demo_corpus)
        retrain(load_profile("tiny"), request, settings, in_containers=True, on_step=interrupt)
    (run,) = settings.runs.iterdir()
    left = docker.from_env().containers.list(filters={"label": f"moodline.run={run.name}"})
    assert left == []


@pytest.mark.parametrize("name", [SLIM_IMAGE, CPU_IMAGE, "moodline/serve", "moodline/triton"])
def test_an_image_is_nobody_s_and_holds_no_secret(name: str) -> None:
    found = docker.from_env().images.get(image(name))
    assert found.attrs["Config"]["User"] == "10001:10001"
    told = json.dumps([found.history(), found.attrs["Config"]])
    for secret in ("token", "password", "pip.conf", "index-url"):
        assert secret not in told.lower()
