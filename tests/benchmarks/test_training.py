"""What training takes of memory and time where turns are read as they are needed.

`MOODLINE_BENCH_HOURS=1,20` are the hours of turns compared. Their sound is noise, the encoders are
tiny and random: what is measured is what grows with a corpus.
"""

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from components.base import Cache
from components.config import Settings, TrainStep, load_profile, resolve_model
from components.conversation import Recording
from components.corpus import read_corpus
from components.fusion.config import MoodlineConfig
from components.fusion.head import MoodlineHead
from components.fusion.model import MoodlineModel
from components.fusion.tokens import pretrained_tokenizer
from components.train.data import Row, Sound
from components.train.loop import fit
from components.train.shards import ROWS, EncodedWindow, Shards, States
from components.train.states import one_thread
from components.train.windows import Item, SoundWindows, StateWindows
from tests.benchmarks.fitting import train_step
from tests.tiny import save_encoders

HOURS = [float(part) for part in os.environ.get("MOODLINE_BENCH_HOURS", "1,20").split(",")]
TURNS = 100_000
SECONDS = 12.0

TRAIN = """
import json, sys, threading, time
from pathlib import Path
import numpy as np, psutil, soundfile
import pyarrow as pa, pyarrow.parquet as pq
from components.config import Profile, Settings, load_profile
from components.conversation import DEFAULT_LABELS, Recording
from components.train import train

home, hours, seconds = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
out = Path(sys.argv[4])
sound = home / "hour.wav"
if not sound.exists():
    noise = np.random.default_rng(0).standard_normal(16_000 * 3_600, dtype="f4")
    soundfile.write(sound, 0.1 * noise, 16_000)
count = round(hours * 3_600 / seconds)
rows = []
for i in range(count):
    start = i * seconds % 3_600
    name = "held" if i % 50 == 0 else f"r{int(i * seconds // 3_600)}"
    rows.append({"recording": name, "fold": "b" if name == "held" else "a", "start": start,
                 "end": start + seconds, "text": f"w{i % 9} w{i // 9 % 9} w{i // 81 % 9}",
                 "emotion": DEFAULT_LABELS[i % 4], "asr_confidence": 1.0})
pq.write_table(pa.Table.from_pylist(rows), out / "examples.parquet")
names = sorted({row["recording"] for row in rows})
recordings = [Recording(n, sound, "b" if n == "held" else "a", False, ()) for n in names]
base = load_profile("tiny").model_dump(mode="json")
base["fusion"] = {"acoustic": "tiny-wave", "text": "tiny-text", "heads": 2, "feed_forward": 8}
base["train"] = {"epochs": 1, "batch_size": 16, "freeze_encoders": False}
base["protocol"] = {"test_fold": "none", "validation_fold": "b"}
peak, going = 0, True

def watch():
    global peak
    me = psutil.Process()
    while going:
        total = 0
        for process in (me, *me.children(recursive=True)):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                pass
        peak = max(peak, total)
        time.sleep(0.2)

import components.train.worker
threading.Thread(target=watch, daemon=True).start()
began = time.perf_counter()
train(out / "examples.parquet", recordings, out / "model", Profile.model_validate(base),
      Settings(home=out / "home", models=home, readers=2))
going = False
print(json.dumps({"turns": count, "peak": peak, "seconds": time.perf_counter() - began}))
"""


def test_twenty_hours_of_turns_take_little_more_memory_than_one(
    benchmark: BenchmarkFixture, tmp_path: Path
) -> None:
    """Fine-tuning, from the first turn to the written version; all processes' shares (PSS)."""
    save_encoders(tmp_path, [f"w{i}" for i in range(9)], width=8)

    def trained(hours: float) -> float:
        out = tmp_path / f"{hours:g}"
        out.mkdir()
        command = [sys.executable, "-W", "ignore", "-c", TRAIN, str(tmp_path), str(hours)]
        done = subprocess.run(
            [*command, str(SECONDS), str(out)], stdout=subprocess.PIPE, text=True, check=True
        )
        told = json.loads(done.stdout.splitlines()[-1])
        print(
            f"\n{hours:g} h: {told['turns']} turns, {told['peak'] / 1e6:.0f} MB at most,"
            f" {told['seconds']:.0f} s"
        )
        return float(told["peak"])

    few, many = (trained(hours) for hours in HOURS[:-1]), HOURS[-1]
    first = next(few)
    ratio = benchmark.pedantic(lambda: trained(many), rounds=1) / first
    print(f"memory, {HOURS[-1]:g} h over {HOURS[0]:g} h: {ratio:.2f}")
    assert ratio <= 1.1


def seconds_of_last_epoch(
    module: torch.nn.Module, items: Sequence[Item], profile: TrainStep, work: Path, readers: int = 0
) -> float:
    """Of two epochs: what is done once is left out."""
    ends: list[float] = []
    fit(
        module,
        training=items,
        validation=[items[0]],
        profile=profile,
        work=work,
        on_epoch=lambda _: ends.append(time.perf_counter()),
        checkpoint_seconds=1e9,
        readers=readers,
    )
    return ends[-1] - ends[-2]


def in_turns(ways: dict[str, Callable[[], float]], rounds: int = 3) -> dict[str, float]:
    """The median seconds of ways that are tried in turns."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            took[name].append(way())
    return {name: float(np.median(values)) for name, values in took.items()}


def test_fine_tuning_reads_as_it_goes(
    benchmark: BenchmarkFixture, demo_corpus: Path, tmp_path: Path
) -> None:
    """Steps a second with turns read as they are needed, against all turns in memory."""
    profile, settings = load_profile("tiny"), Settings()
    acoustic, text = (
        resolve_model(name, settings) for name in (profile.fusion.acoustic, profile.fusion.text)
    )
    model = MoodlineModel.from_encoders(
        acoustic, text, acoustic_layers=profile.fusion.acoustic_layers
    )
    recordings: list[Recording] = read_corpus(demo_corpus)[:8]
    rows = [
        Row(r.name, r.fold, u.start, u.end, u.text, 0, None)
        for r in recordings
        for u in r.utterances
    ][:96] * 5  # an epoch of a minute: its reading processes take a second to start
    limits = (model.config.max_samples, model.config.max_tokens)
    lazy = SoundWindows(rows, Sound(recordings, rows), pretrained_tokenizer(text), limits)
    held = [lazy[i] for i in range(len(lazy))]
    how = train_step(
        epochs=2, patience=2, freeze_encoders=False, batch_size=8, encoder_learning_rate=1e-7
    )
    ways = {
        "in memory": lambda: seconds_of_last_epoch(model, held, how, tmp_path / "work"),
        "read": lambda: seconds_of_last_epoch(model, lazy, how, tmp_path / "work"),
        "read by two": lambda: seconds_of_last_epoch(
            model, lazy, how, tmp_path / "work", readers=2
        ),
    }
    took = benchmark.pedantic(in_turns, (ways, 2), rounds=1)
    steps = len(rows) / 8
    print(
        f"\nsteps of 8 turns a second: {steps / took['in memory']:.2f} from memory,"
        f" {steps / took['read']:.2f} read; ratio {took['in memory'] / took['read']:.2f};"
        f" by two processes {steps / took['read by two']:.2f}"
    )


def test_an_epoch_over_frozen_turns_in_shards(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """100,000 turns' states in files, against all of them in memory."""
    kept = Shards(Cache(tmp_path), "states")
    dice = np.random.default_rng(0)
    for first in range(0, TURNS, ROWS):
        count = min(ROWS, TURNS - first)
        states = dice.standard_normal((2, count, 1, 384), dtype="f4")
        kept.write(
            [
                (
                    (first + i).to_bytes(16, "big"),
                    [EncodedWindow(states[0, i], states[1, i], 1.0, np.zeros(8, "f4"))],
                )
                for i in range(count)
            ]
        )
    files = list(tmp_path.glob("states/*/*"))
    shards = sorted(kept.read(), key=lambda shard: bytes(shard.keys[0]))
    places = np.array([(s, row) for s, shard in enumerate(shards) for row in range(len(shard))])
    labels = [i % 4 for i in range(TURNS)]
    mapped = StateWindows(labels, States(shards, places))
    held = [
        {name: np.array(x) if isinstance(x, np.ndarray) else x for name, x in mapped[i].items()}
        for i in range(TURNS)
    ]
    # A narrow head: the quicker a step, the more it shows where the states come from.
    sizes = {"hidden_size": 384, "num_attention_heads": 6}
    encoders = {"model_type": "wav2vec2", **sizes}, {"model_type": "bert", **sizes}
    head = MoodlineHead(MoodlineConfig(*encoders, hidden_size=64, feed_forward=128), 384)
    how = train_step(epochs=2, patience=2, batch_size=32)
    gc.collect()

    def epoch(items: Sequence[Item]) -> float:
        with one_thread():
            return seconds_of_last_epoch(head, items, how, tmp_path / "work")

    ways = {"in memory": lambda: epoch(held), "in shards": lambda: epoch(mapped)}
    took = benchmark.pedantic(in_turns, (ways, 1), rounds=1)
    print(
        f"\n{TURNS:,} frozen turns in {len(files)} files"
        f" ({sum(f.stat().st_size for f in files) / 1e6:.0f} MB):"
        f" an epoch {took['in shards']:.1f} s, with all in memory {took['in memory']:.1f} s;"
        f" speed {took['in memory'] / took['in shards']:.2f}"
    )
    assert len(files) <= 64
