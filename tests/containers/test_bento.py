"""`make bento-image`: the Bento as a container, which needs nothing else to align."""

import os
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import docker
import httpx
import pytest
from docker.models.containers import Container

from components.config.cluster import CPU_IMAGE
from pipelines.definitions.code_version import ROOT, image
from tests.containers.conftest import address, health
from tests.serving.helpers import wait_until

pytestmark = pytest.mark.timeout(1200)

ALIGN = {
    "words": {"segments": [{"start": 0, "end": 1, "text": "good morning"}]},
    "speakers": [{"start": 0, "end": 1, "speaker": "A"}],
}


def test_the_bento_s_image_aligns(tmp_path: Path, run_container: Callable[..., Container]) -> None:
    subprocess.run(
        ["make", "bento-image", f"BASE_IMAGE={image(CPU_IMAGE)}"],
        cwd=ROOT, env=os.environ | {"BENTOML_HOME": str(tmp_path)}, check=True,
    )  # fmt: skip
    found = docker.from_env().images.get(f"moodline/bento:{version('moodline')}")
    assert found.attrs["Config"]["User"] == "bentoml"
    bento = run_container(found.id, "bento", ports={"3000/tcp": ("127.0.0.1", 0)})
    assert wait_until(lambda: health(bento) == "healthy", 180), bento.logs().decode()
    url = address(bento)
    assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200
    answer = httpx.post(f"{url}/v1/align", json=ALIGN, timeout=30)
    assert answer.status_code == 200, answer.text
    assert [(turn["words"], turn["speaker"]) for turn in answer.json()] == [("good morning", "A")]
    # No Triton: it says so, and goes on aligning.
    assert httpx.get(f"{url}/readyz", timeout=30).status_code == 503
