"""Service and Triton in containers, as Compose and Kubernetes run them, on what was retrained."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile
from docker.models.containers import Container

from components.conversation import DEFAULT_LABELS, SAMPLE_RATE, read_audio
from pipelines.definitions.code_version import image
from tests.containers.conftest import address, health
from tests.serving.helpers import wait_until

pytestmark = pytest.mark.timeout(1200)

LIMITS = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "tmpfs": {"/tmp": ""},
    # The folder is the test's own, not user 10001's.
    "user": f"{os.getuid()}:{os.getgid()}",
}


def test_a_recording_is_answered_by_the_version_that_was_retrained(
    result: dict[str, Any], demo_corpus: Path, run_container: Callable[..., Container]
) -> None:
    if not result["promoted"]:
        pytest.fail(f"nothing to serve: the gate said {result['decision']}: {result['reasons']}")
    home = str(result["home"])
    repository = Path(home) / "model_repository"
    repository.mkdir(exist_ok=True)
    run_container(
        image("moodline/triton"), "triton", **LIMITS, shm_size="512m",
        volumes={str(repository): {"bind": "/var/lib/moodline/model_repository", "mode": "ro"}},
    )  # fmt: skip
    service = run_container(
        image("moodline/serve"), "moodline", **LIMITS, ports={"3000/tcp": ("127.0.0.1", 0)},
        environment={
            "MOODLINE_HOME": home,
            "MOODLINE_MODEL_REPOSITORY": str(repository),
            "MOODLINE_TRITON_URL": "triton:8001",
        },
        volumes={home: {"bind": home, "mode": "rw"}},
    )  # fmt: skip
    assert wait_until(lambda: health(service) == "healthy", 300), service.logs().decode()
    url = address(service)
    assert httpx.get(f"{url}/v1/model", timeout=30).json()["version"] == str(result["version"])
    # Ten seconds of a dialogue.
    sound = io.BytesIO()
    audio = min((demo_corpus / "Session5" / "dialog" / "wav").glob("*.ogg"))
    soundfile.write(sound, read_audio(audio)[: 10 * SAMPLE_RATE], SAMPLE_RATE, format="WAV")
    answer = httpx.post(
        f"{url}/v1/analyze", files={"audio": ("call.wav", sound.getvalue())},
        data={"num_speakers": "2"}, timeout=120,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    turns = answer.json()["turns"]
    assert turns and {turn["emotion"] for turn in turns} <= set(DEFAULT_LABELS)
