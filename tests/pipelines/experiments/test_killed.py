"""A run that is killed goes on at the first unfinished unit, to the same result."""

import os
import subprocess
import sys
from pathlib import Path

from components.config import Profile, Settings
from components.conversation import Recording, write_manifest
from pipelines.experiments import run_experiment
from pipelines.experiments.systems import ALIGNED, ALIGNED_FROZEN

ROOT = Path(__file__).resolve().parents[3]

SCRIPT = """
import sys
from pathlib import Path
from components.conversation import read_manifest
from components.config import Settings, load_profile
from pipelines.experiments import run_experiment

corpus, heard, profile = sys.argv[1:]
run_experiment("table4", read_manifest(Path(corpus)), load_profile(profile), Settings(),
               Path(heard), lambda *told: print(*told, flush=True))
"""


def test_a_killed_run_goes_on(
    everything,
    recordings: list[Recording],
    heard: Path,
    profile: Profile,
    settings: Settings,
    tmp_path: Path,
) -> None:
    write_manifest(tmp_path / "corpus", recordings)
    again = Settings(home=tmp_path / "home", models=settings.models)
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, tmp_path / "corpus", heard, profile.model_dump_json()],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | again.environment() | {"OMP_NUM_THREADS": "1"},
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("units of work 2"):
            break
    child.kill()
    child.wait()
    lines: list[tuple[str, int, int]] = []
    results = run_experiment(
        "table4", recordings, profile, again, heard, lambda *step: lines.append(step)
    )
    trained = {what for what, _, _ in lines if "without fold" in what}
    assert 3 <= len(trained) <= 4  # of six, two were done, and one may just have been
    undisturbed = everything[0]
    for system in (ALIGNED, ALIGNED_FROZEN):
        assert results.systems[system].right == undisturbed.systems[system].right
        assert results.systems[system].turns == undisturbed.systems[system].turns
    left = list((tmp_path / "home").rglob("*.model")) + list((tmp_path / "home").rglob(".*"))
    assert left == []
