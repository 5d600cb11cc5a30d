"""What a model costs to serve: its files' size, and the time that a turn takes."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.conversation import Recording, Turn
from components.evaluate.prediction import Classify, spread
from components.fusion import turn_clip

SERVED = ("model.onnx", "tokenizer.json")
"""The files of a version that a server loads."""

_ROUNDS = 3


def served_megabytes(model_dir: Path) -> float | None:
    """The size of the files that are served (10⁶ bytes); None where one of them is missing."""
    files = [Path(model_dir) / name for name in SERVED]
    if not all(file.is_file() for file in files):
        return None
    return sum(file.stat().st_size for file in files) / 1e6


def measure_latency(
    classify: Classify,
    champion: Classify | None,
    recordings: Sequence[Recording],
    turns: Sequence[Turn],
    max_turns: int,
) -> dict[str, Any]:
    """Time turns one by one, on this machine, ready for JSON.

    A turn's time is its best of three: what others do on the machine only ever adds to it. The
    model in production takes every turn right after the new one, so that both meet the same load.

    Args:
        champion: the model in production, where there is one.
        recordings, turns: of the test fold.
        max_turns: how many are timed, spread evenly over all.
    """
    audio = {recording.name: recording.audio for recording in recordings}
    clips = [turn_clip(audio[turn.session_id], turn) for turn in spread(turns, max_turns)]
    models = [classify] if champion is None else [classify, champion]
    if not clips:
        return {"turns": 0, "p95_ms": None, "times_production": None}
    for model in models:
        model(clips[:1])
    best = np.full((len(models), len(clips)), np.inf)
    for _ in range(_ROUNDS):
        for i, clip in enumerate(clips):
            for k, model in enumerate(models):
                began = time.perf_counter()
                model([clip])
                best[k, i] = min(best[k, i], time.perf_counter() - began)
    return {
        "turns": len(clips),
        "p95_ms": float(1000 * np.quantile(best[0], 0.95)),
        "times_production": None if champion is None else float(best[0].sum() / best[1].sum()),
    }
