"""What a recording of two hours needs of memory, against one of ten minutes.

Faint noise with a demo dialogue every seven minutes or so, each length heard in a process of its
own. `MOODLINE_BENCH_MINUTES=10,120` are the lengths compared; two hours take a while.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MINUTES = [float(part) for part in os.environ.get("MOODLINE_BENCH_MINUTES", "10,120").split(",")]

HEAR = """
import json, sys, threading, time
from pathlib import Path
import numpy as np, psutil
from components.conversation import read_audio
from components.config import Settings, load_profile
from serving.engine.analyze import Analyzer
from serving.engine.options import Options

corpus, minutes = Path(sys.argv[1]), float(sys.argv[2])
audio = np.random.default_rng(0).standard_normal(round(minutes * 960_000), dtype="f4")
audio *= 1e-3
for number, path in enumerate(sorted(corpus.rglob("*.ogg"))):
    sound = read_audio(path)
    first = number * 7 * 960_000
    room = audio[first : first + len(sound)]
    room += sound[: len(room)]
analyzer = Analyzer(load_profile("tiny"), Settings())
analyzer.load()
memory, peak = psutil.Process().memory_info, 0

def watch():
    global peak
    while True:
        peak = max(peak, memory().rss)
        time.sleep(0.02)

threading.Thread(target=watch, daemon=True).start()
turns = analyzer.find_turns(audio, Options("long", num_speakers=2)).turns
print(json.dumps({"turns": len(turns), "peak": peak, "audio": audio.nbytes}))
"""


@pytest.mark.models
@pytest.mark.timeout(7_200)
def test_two_hours_need_little_more_than_ten_minutes(benchmark: Any, demo_corpus: Path) -> None:
    def hear(minutes: float) -> float:
        command = [sys.executable, "-W", "ignore", "-c", HEAR, str(demo_corpus), str(minutes)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        needs = (told["peak"] - told["audio"]) / 1e6
        print(f"{minutes:g} min: {told['turns']} turns, {needs:.0f} MB beyond the audio itself")
        return needs

    def both() -> float:
        short, long = (hear(minutes) for minutes in MINUTES)
        return long / short

    ratio = benchmark.pedantic(both, rounds=1)
    print(f"ratio {ratio:.2f}")
    assert ratio <= 1.5
