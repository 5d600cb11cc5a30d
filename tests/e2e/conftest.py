"""A fresh state for the whole loop, and a small corpus to run it on."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from components.config import load_profile
from pipelines.cli import main


@pytest.fixture(scope="session")
def workplace(
    tmp_path_factory: pytest.TempPathFactory, small_corpus: Path, models_home: Path
) -> Path:
    """A folder as a user's: a corpus of eight of the demo's dialogues, some profiles, no state."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copytree(small_corpus, folder / "corpus")
    # Some eighty turns teach little: the gate asks for little more than chance, the stricter one
    # for more than any model has.
    demo = load_profile("tiny").model_dump(mode="json")
    for name, accuracy in (("small", 0.3), ("strict", 1.0)):
        gate = {"min_accuracy": accuracy, "no_regression": demo["gate"]["no_regression"]}
        # What no model could pass is asked of one that learns for two epochs.
        train = demo["train"] | ({"epochs": 2} if name == "strict" else {})
        own = {"name": name, "gate": gate, "train": train}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(demo | own))
    other = demo | {"name": "other", "seed": 1, "gate": {"min_accuracy": 0.3}}
    (folder / "other.yaml").write_text(yaml.safe_dump(other))
    (folder / "shards.yaml").write_text(yaml.safe_dump(demo | {"cluster": {"shards": 2}}))
    return folder


@pytest.fixture(scope="session")
def environment(workplace: Path, models_home: Path) -> dict[str, str]:
    """The variables of a user in the workplace, `moodline` being this environment's."""
    triton = Path(os.environ.get("MOODLINE_TRITON_ENV", models_home.parent / "triton"))
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MOODLINE_HOME": str(workplace / ".moodline"),
        "MOODLINE_MODELS": str(models_home.resolve()),
        "MOODLINE_TRITON_ENV": str(triton.resolve()),
    }


@pytest.fixture(scope="session")
def run(
    workplace: Path, environment: dict[str, str]
) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run a command line in the workplace."""

    def command(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line],
            cwd=workplace,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )

    return command


@pytest.fixture
def ask(
    workplace: Path,
    environment: dict[str, str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], str]:
    """Run `moodline` with that line of arguments in the workplace, in this process, which has its
    libraries imported; the standard output. It must have done."""
    monkeypatch.chdir(workplace)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def command(line: str) -> str:
        capfd.readouterr()
        status = main.run(shlex.split(line))
        told = capfd.readouterr()
        assert status == 0, f"{line}\n{told.out[-3000:]}\n{told.err[-3000:]}"
        return told.out

    return command
