"""What the pipeline costs over calling its functions one after the other in one process."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from components.base import tree_digest
from components.config import Settings, load_profile
from pipelines.runners.request import RetrainRequest
from pipelines.runners.retrain import retrain

IN_ONE_PROCESS = """
import json, sys
from pathlib import Path
from components.config import Settings, load_profile

corpus, out = map(Path, sys.argv[1:])
profile, settings = load_profile("tiny"), Settings()
from components.align import align_corpus
from components.conversation import read_manifest, write_manifest
from components.corpus import check_corpus, read_corpus
from components.diarize import diarize_corpus
from components.evaluate import evaluate, read_test_turns
from components.label import label_corpus
from components.register import Lineage, record_refusal, register
from components.train import train
from components.transcribe import transcribe_corpus

report = check_corpus(corpus)
write_manifest(out / "manifest", read_corpus(corpus))
recordings = read_manifest(out / "manifest")
transcribe_corpus(recordings, out / "words", profile, settings)
diarize_corpus(recordings, out / "speakers", profile, settings)
align_corpus([out / "words"], [out / "speakers"], out / "turns",
             max_pause=profile.align.max_pause)
label_corpus(out / "turns", recordings, out / "examples.parquet")
trained = train(out / "examples.parquet", recordings, out / "model", profile, settings)
turns = read_test_turns(out / "turns", recordings, profile)
found = evaluate(out / "model", recordings, turns, profile, synthetic=report.synthetic)
found.write(out / "evidence")
evidence = [out / "evidence" / name for name in ("metrics.json", "report.html", "verdict.json")]
lineage = Lineage("unknown", report.digest, profile)
if found.verdict.decision == "fail":
    record_refusal(*evidence, lineage, settings)
else:
    register(out / "model", *evidence, lineage, settings)
print(json.dumps(trained.digest))
"""


def spent() -> tuple[float, float]:
    """Seconds by the clock, and of the processor by all children that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def since(before: tuple[float, float]) -> tuple[float, float]:
    now = spent()
    return now[0] - before[0], now[1] - before[1]


def test_the_pipeline_s_overhead(
    benchmark: BenchmarkFixture, tmp_path: Path, demo_corpus: Path, models_home: Path
) -> None:
    """The demo run, importing included, both ways; and the run again, with nothing left to do."""
    homes = {way: Settings(home=tmp_path / way, models=models_home) for way in ("one", "steps")}
    (tmp_path / "out").mkdir()
    began = spent()
    done = subprocess.run(
        [sys.executable, "-c", IN_ONE_PROCESS, demo_corpus, tmp_path / "out"],
        env=os.environ | homes["one"].environment() | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    one = since(began)
    began = spent()
    work = (load_profile("tiny"), RetrainRequest(corpus=demo_corpus), homes["steps"])
    result = benchmark.pedantic(retrain, work, rounds=1)
    steps = since(began)
    began = spent()
    again = retrain(*work)
    nothing = since(began)
    for name, was in (("by the clock", 0), ("of the processor", 1)):
        print(
            f"\n{name}: one process {one[was]:.0f} s, pipeline {steps[was]:.0f} s:"
            f" {steps[was] - one[was]:+.0f} s, ratio {steps[was] / one[was]:.2f};"
            f" again, {len(again.reused)} steps done before: {nothing[was]:.0f} s"
        )
    assert tree_digest(result.outputs["model"]) == json.loads(done.stdout.splitlines()[-1])
    assert again.outputs["model"] == result.outputs["model"]
