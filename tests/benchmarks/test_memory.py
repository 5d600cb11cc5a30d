"""What a recording of two hours needs of memory and time, against one of ten minutes.

Each length is heard in a process of its own, by Whisper tiny: dialogues one after the other, by the
demo profile; and a room in which hardly anybody speaks, by the smallest one. It takes
a quarter of an hour in all. `MOODLINE_BENCH_MINUTES=10,120` are the lengths compared.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

MINUTES = [float(part) for part in os.environ.get("MOODLINE_BENCH_MINUTES", "10,120").split(",")]

HEAR = """
import json, sys, threading, time
import numpy as np, psutil
from components.config import Settings, load_profile
from serving.engine.analyze import Analyzer
from serving.engine.options import Options
from tests.benchmarks.joined import dialogues

kind, minutes = sys.argv[1], float(sys.argv[2])
profile = load_profile("demo" if kind == "dialogues" else "tiny")
words = profile.transcribe.model_copy(update={"model": "whisper-tiny.en"})
audio = np.random.default_rng(0).standard_normal(round(minutes * 960_000), dtype="f4")
audio *= 1e-3
first, number, sounds = 0, 0, dialogues()
while first < len(audio):
    sound = sounds[number % len(sounds)]
    room = audio[first : first + len(sound)]
    room += sound[: len(room)]
    first += len(sound) if kind == "dialogues" else 7 * 960_000
    number += 1
del sounds, sound, room
analyzer = Analyzer(profile.model_copy(update={"transcribe": words}), Settings())
analyzer.load()
memory, peak = psutil.Process().memory_info, 0

def watch():
    global peak
    while True:
        peak = max(peak, memory().rss)
        time.sleep(0.02)

threading.Thread(target=watch, daemon=True).start()
began = time.monotonic()
turns = analyzer.find_turns(audio, Options("long")).turns
took = time.monotonic() - began
print(json.dumps({"turns": len(turns), "peak": peak, "audio": audio.nbytes, "took": took}))
"""


@pytest.mark.models
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("kind", ["dialogues", "room"])
def test_two_hours_need_little_more_than_ten_minutes(benchmark: Any, kind: str) -> None:
    def hear(minutes: float) -> tuple[float, float]:
        command = [sys.executable, "-W", "ignore", "-c", HEAR, kind, str(minutes)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        needs = (told["peak"] - told["audio"]) / 1e6
        print(
            f"{minutes:g} min: {told['turns']} turns, {told['took']:.1f} s,"
            f" {needs:.0f} MB beyond the audio itself"
        )
        return needs, told["took"] / minutes

    def both() -> tuple[float, float]:
        short, long = (hear(minutes) for minutes in MINUTES)
        return long[0] / short[0], long[1] / short[1]

    memory, time = benchmark.pedantic(both, rounds=1)
    print(f"{kind}: ratio of memory {memory:.2f}, of time per minute {time:.2f}")
    assert memory <= 1.3
